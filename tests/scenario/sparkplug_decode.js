// Payloads in hexadecimal, a line each, through npm's sparkplug-payload; prints what it makes of them as JSON.
// node sparkplug_decode.js FOLDER-OF-NODE_MODULES
const { createRequire } = require("module");
const sparkplug = createRequire(process.argv[2] + "/")("sparkplug-payload").get("spBv1.0");
const lines = require("fs").readFileSync(0, "utf8").split("\n").filter((line) => line);
const plain = (key, value) =>
  typeof value === "bigint" || (value && typeof value === "object" && "low" in value && "high" in value) ? String(value) : value;
for (const line of lines) {
  const payload = sparkplug.decodePayload(Buffer.from(line, "hex"));
  if (payload.seq !== undefined && payload.seq !== null) payload.seq = String(payload.seq);
  console.log(JSON.stringify(payload, plain));
}
