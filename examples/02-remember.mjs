// A conversation is the list of its messages. First, in another terminal: npm start
const url = `${process.env.CORTEX_URL ?? 'http://127.0.0.1:31313'}/v1/chat/completions`;
const messages = [];

for (const content of ['Hi, I am Mia.', 'What is my name?']) {
  messages.push({ role: 'user', content });
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'cortex-tiny', messages, temperature: 0 }),
  });
  const body = await response.json();
  const answer = body.choices[0].message.content;
  messages.push({ role: 'assistant', content: answer });
  console.log(`you:   ${content}`);
  console.log(`model: ${answer.trim()}`);
}
