"""Run the shipping service on the servers of PAVANE_BROKER_URL and PAVANE_STATE_URL."""

from services.shipping import app

app.run()
