"""Run the payments service on the servers of PAVANE_BROKER_URL and PAVANE_STATE_URL."""

from services.payments import app

app.run()
