const what = { model: "m", messages: [{ role: "user", content: "please" }] };
const acts = {
  async anthropic(Anthropic) {
    const client = new Anthropic({ baseURL: "https://new.test/played/sdk", maxRetries: 0 });
    const whole = (await client.messages.create({ max_tokens: 9, ...what })).content[0].text;
    const pieces = [];
    for await (const event of await client.messages.create({ max_tokens: 9, stream: true, ...what }))
      if (event.type === "content_block_delta") pieces.push(event.delta.text);
    return [whole, ...pieces];
  },
  async openai(OpenAI) {
    const client = new OpenAI({ baseURL: "https://new.test/played/sdk/v1", maxRetries: 0 });
    const whole = (await client.chat.completions.create(what)).choices[0].message.content;
    const pieces = [];
    for await (const part of await client.chat.completions.create({ stream: true, ...what }))
      pieces.push(part.choices[0].delta.content);
    return [whole, ...pieces];
  },
};
const [name, from] = process.argv.slice(2);
const found = require(from);
acts[name](found.default ?? found).then(
  (got) => process.exit(got.join("|") === "all done|all |done" ? 0 : (console.error(got), 1)),
  (error) => { console.error(error, error.cause); process.exit(1); },
);
