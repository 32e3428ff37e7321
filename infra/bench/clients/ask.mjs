// The same with openai-node: `npm install openai`, then `node ask.mjs URL TOKEN`.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import OpenAI from "openai";

const [url, token] = process.argv.slice(2);
const QUESTION = "国内出張の宿泊費はいくらですか。";
const EXPECTED = "11,000円";
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: token });
const messages = [{ role: "user", content: QUESTION }];
const tried = {};

async function attempt(what, ask) {
  try {
    tried[what] = (await ask()) ? "ok" : "not as expected";
  } catch (error) {
    tried[what] = String(error).slice(0, 300);
  }
}

await attempt("models", async () => (await client.models.list()).data.some((model) => model.id === "kiban"));
await attempt("chat", async () => {
  const reply = await client.chat.completions.create({ model: "kiban", messages });
  return reply.choices[0].message.content.includes(EXPECTED);
});
await attempt("stream", async () => {
  let text = "";
  for await (const chunk of await client.chat.completions.create({ model: "kiban", messages, stream: true })) {
    text += chunk.choices[0]?.delta?.content ?? "";
  }
  return text.includes(EXPECTED);
});
await attempt("responses", async () =>
  (await client.responses.create({ model: "kiban", input: QUESTION })).output_text.includes(EXPECTED));
await attempt("responses stream", async () => {
  let last;
  for await (const event of await client.responses.create({ model: "kiban", input: QUESTION, stream: true })) {
    last = event;
  }
  return last.type === "response.completed" && last.response.output[0].content[0].text.includes(EXPECTED);
});
await attempt("embeddings", async () =>
  (await client.embeddings.create({ model: "kiban-embedder", input: ["宿泊費", "日当"] })).data.length === 2);
await attempt("tools", async () => {
  const tools = [{ type: "function", function: { name: "rate", parameters: { type: "object" } } }];
  const reply = await client.chat.completions.create({ model: "kiban", messages, tools, tool_choice: "required" });
  return reply.choices[0].message.tool_calls[0].function.name === "rate";
});

const main = createRequire(import.meta.url).resolve("openai");
const root = main.slice(0, main.lastIndexOf("/openai/") + "/openai/".length);
const { version } = JSON.parse(readFileSync(`${root}package.json`, "utf8"));
console.log(JSON.stringify({ client: "openai-node", version, tried }));
