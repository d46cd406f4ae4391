"""OAuth 2.0: a token that is refreshed ahead of its end, and kept in a file for the next run.

CLIENT_SECRET=... REFRESH_TOKEN=... python oauth.py URL USER TOKEN_URL CLIENT_ID STORE

TOKEN_URL may be "google" or "microsoft".
"""

import os
import sys

import postroad
from postroad import oauth

url, user, token_url, client_id, store = sys.argv[1:]
tokens = oauth.refresh(
    token_url,
    client_id=client_id,
    client_secret=os.environ["CLIENT_SECRET"],
    refresh_token=os.environ["REFRESH_TOKEN"],
    store=store,
)
message = postroad.Message(from_=user, to="bob@example.org", subject="Hello", text="By a token.")
try:
    with postroad.Mailer(url, user=user, credentials=tokens, ca_file=os.environ.get("CA_FILE")) as mail:
        mail.send(message).require_accepted()
except postroad.AuthenticationError as e:
    sys.exit(f"{e} {e.advice}")
print("sent")
