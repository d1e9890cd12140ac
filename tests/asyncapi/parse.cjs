// Reads a list of AsyncAPI documents from standard input and says what the official parser makes of each.
const { Parser } = require("@asyncapi/parser");

async function parse(text) {
  const { document, diagnostics } = await new Parser().parse(text);
  const operations = document ? document.allOperations().all() : [];
  return {
    problems: diagnostics.map(({ severity, code, path, message }) => ({ severity, code, path, message })),
    operations: operations.map((one) => one.id()),
  };
}

async function main() {
  const answers = [];
  for (const text of JSON.parse(require("fs").readFileSync(0, "utf8"))) answers.push(await parse(text));
  console.log(JSON.stringify(answers));
}

main();
