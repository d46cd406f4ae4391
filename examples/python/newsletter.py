"""A newsletter: a message of its own for each subscriber, a thousand under way, what failed said at the end.

python newsletter.py URL [COUNT]
"""

import sys
from typing import Iterator

import postroad


def issues(subscribers: int) -> Iterator[postroad.Message]:
    for n in range(subscribers):
        message = postroad.Message(
            from_="The Shop <news@example.com>",
            to=f"reader{n}@example.org",
            subject="News of the week",
            text=f"Dear reader {n},\n\nhere is what is new.\n",
            html=f"<p>Dear reader {n},<p>here is what is new.",
        )
        message.set_list("news.example.com", "News of the shop", one_click=f"https://example.com/unsubscribe/{n}")
        yield message


missed = []
with postroad.Mailer(sys.argv[1], pipelining="across") as mail:
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 50_000
    for receipt in mail.send_many(issues(count), traffic_class=1, tag="news", progress=sys.stderr.isatty()):
        if not receipt.all_accepted:
            missed.append(receipt)
    print(f"{mail.stats().accepted} accepted over {mail.stats().connections} connections")
for receipt in missed:
    print(f"reader{receipt.index}: {receipt.error or receipt.recipients[0].text}")
