"""What a run did, as facts (JSON), as a page for the lead, and as a page that stays at a site.

Imports records, settings and readers of data, never ``flare``.
"""

from flareseg.report.console import summary_table
from flareseg.report.facts import ReportFacts, load_record, report_facts
from flareseg.report.html import write_report
from flareseg.report.site import write_site_report

__all__ = ["ReportFacts", "load_record", "report_facts", "summary_table", "write_report", "write_site_report"]
