"""How findings are shown: on a terminal, as JSON, as one HTML file. Nothing here looks for anything."""
