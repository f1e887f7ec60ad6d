"""One self-contained HTML page on a mixture: what it says of the rows, how sure that is, and how to come by it again.

subject   what is reported: a mixture and what is known of how it came about     facts   what the page shows, as plain values
points    the rows and ellipses of the scatter, within a budget of bytes          page    the values as HTML
"""

from mixtura.report.facts import Facts, facts
from mixtura.report.page import render, require, write
from mixtura.report.subject import Subject, subject

__all__ = ["Facts", "Subject", "facts", "render", "require", "subject", "write"]
