import sys

what = dict(model="m", messages=[{"role": "user", "content": "please"}])
if sys.argv[1] == "anthropic":
    import anthropic
    client = anthropic.Anthropic(base_url="https://new.test/played/sdk", max_retries=0)
    whole = client.messages.create(max_tokens=9, **what).content[0].text
    with client.messages.stream(max_tokens=9, **what) as stream:
        pieces = list(stream.text_stream)
else:
    import openai
    client = openai.OpenAI(base_url="https://new.test/played/sdk/v1", max_retries=0)
    whole = client.chat.completions.create(**what).choices[0].message.content
    pieces = [part.choices[0].delta.content for part in client.chat.completions.create(stream=True, **what)]
assert (whole, pieces) == ("all done", ["all ", "done"]), (whole, pieces)
