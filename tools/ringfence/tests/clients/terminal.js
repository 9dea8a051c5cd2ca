// A terminal that is nothing of ours: iso_8583 of npm writes and reads its messages. It says each message that went over
// the line: its type, trace number and response code.
const iso8583 = require(process.argv[2] + "/node_modules/iso_8583");
const net = require("net");
const assert = require("assert");
const [port, pan, terminal, date, first, rightBlock, wrongBlock] = process.argv.slice(3);

const link = net.connect(Number(port), "127.0.0.1");
let heard = Buffer.alloc(0);
let waiting = null;
const look = () => {
  if (waiting && heard.length >= 2 && heard.length >= 2 + heard.readUInt16BE(0)) {
    const length = 2 + heard.readUInt16BE(0);
    const one = heard.subarray(0, length);
    heard = heard.subarray(length);
    const found = waiting;
    waiting = null;
    found(one);
  }
};
link.on("data", (chunk) => {
  heard = Buffer.concat([heard, chunk]);
  look();
});
const next = () =>
  new Promise((found) => {
    waiting = found;
    look();
  });

const trace = (number) => String(Number(first) + number).padStart(6, "0");

async function ask(type, number, fields) {
  const named = { 0: type, 7: date + "120000", 11: trace(number), 12: "120000", 13: date, 41: terminal };
  const packed = new iso8583({ ...named, ...fields });
  const bytes = packed.getBufferMessage();
  assert(Buffer.isBuffer(bytes), JSON.stringify(bytes));
  link.write(bytes);
  console.log(type, trace(number), "-");
  const answer = new iso8583().getIsoJSON(await next());
  assert(!answer.error, JSON.stringify(answer));
  console.log(answer["0"], answer["11"], answer["39"]);
  assert.strictEqual(answer["11"], trace(number));
  return answer;
}

async function day() {
  const card = { 2: pan, 49: "978", 52: rightBlock };
  assert.strictEqual((await ask("0800", 0, { 70: "001" }))["39"], "00");
  assert.strictEqual((await ask("0800", 1, { 70: "301" }))["39"], "00");
  const held = await ask("0200", 2, { 3: "012000", 4: "000000013000", ...card });
  assert.strictEqual(held["39"], "00");
  assert.strictEqual(held["63"], "NT0160001000100000001");
  assert.deepStrictEqual(await ask("0200", 2, { 3: "012000", 4: "000000013000", ...card }), held);
  const done = await ask("0220", 2, { 63: "NT0160001000100000001" });
  assert.strictEqual(done["63"], "PO012000000013000");
  assert.strictEqual((await ask("0200", 3, { 3: "312000", 4: "000000000000", ...card, 52: wrongBlock }))["39"], "55");
  assert.strictEqual((await ask("0420", 4, { 90: "0200" + trace(5) + date + "120000" + "0".repeat(22) }))["39"], "00");
  assert.strictEqual((await ask("0200", 5, { 3: "012000", 4: "000000010000", ...card }))["39"], "68");
  const refused = await ask("0200", 6, { 3: "012000", 4: "000000010000", 2: pan });
  assert.strictEqual(refused["39"], "30");
  assert.strictEqual((await ask("0200", 7, { 3: "312000", 4: "000000000000", ...card }))["39"], "00");
}

day().then(
  () => link.end(),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
