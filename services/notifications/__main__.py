"""Run the notifications service on the servers of PAVANE_BROKER_URL and PAVANE_STATE_URL."""

from services.notifications import app

app.run()
