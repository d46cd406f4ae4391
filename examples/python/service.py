"""A service in asyncio: many tasks share one mailer, each with a time of its own.

python service.py URL
"""

import asyncio
import sys

import postroad


async def confirm(mail: postroad.Mailer, order: int) -> str:
    message = postroad.Message(
        from_="shop@example.com", to=f"customer{order}@example.org", subject=f"Order {order}", text="Thank you."
    )
    try:
        receipt = await mail.asend(message, give_up_after=20, tenant=f"shop {order % 3}")
    except postroad.TransientError as e:
        return f"order {order}: later: {e.code}"
    return f"order {order}: {'sent' if receipt.all_accepted else 'refused'}"


async def main(url: str) -> None:
    async with postroad.Mailer(url, connections=8) as mail:
        for line in await asyncio.gather(*(confirm(mail, order) for order in range(20))):
            print(line)


asyncio.run(main(sys.argv[1]))
