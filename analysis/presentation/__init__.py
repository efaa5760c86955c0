"""How things look: colours, panels, PNG, HTML page."""
