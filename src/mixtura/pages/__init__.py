"""What a page in a browser is made of: style, scripts, and numbers that are safe inside them. Nothing here knows of a report or of a server.

page.css     type and colours, light and dark, phone to desktop, paper
theme.js     light or dark, by the system or by the reader
scatter.js   two columns with ellipses, or one column with densities, drawn by plotly.js
"""

from mixtura.pages.assets import asset, plotly_js
from mixtura.pages.embedding import embedded, packed

__all__ = ["asset", "embedded", "packed", "plotly_js"]
