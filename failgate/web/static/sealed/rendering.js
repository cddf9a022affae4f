// What a reviewer sees of a text, as in plain mode: two different texts never look the same, and nothing of them acts.
// Whatever is not plainly what it seems is written out, as ⟨U+202E RLO⟩; beyond the names below by its number alone.

/** @typedef {{ text: string, isUnusual: boolean }} Part */

const SINGLE = "ÆÐØÞßæðøþĐđĦħŁłŒœŦŧ";
const RANGES = [[0xc0, 0x17f], [0x218, 0x21b], [0x1ea0, 0x1ef9]];
const CONTROLS = "NUL SOH STX ETX EOT ENQ ACK BEL BS TAB LF VT FF CR SO SI DLE DC1 DC2 DC3 DC4 NAK SYN ETB CAN EM SUB ESC FS GS RS US SPACE";
const NAMES = new Map([
  ...CONTROLS.split(" ").map((name, code) => /** @type {[number, string]} */ ([code, name])),
  [0x7f, "DEL"], [0x85, "NEL"], [0xa0, "NBSP"], [0xad, "SHY"], [0x34f, "CGJ"], [0x61c, "ALM"], [0x200b, "ZWSP"],
  [0x200c, "ZWNJ"], [0x200d, "ZWJ"], [0x200e, "LRM"], [0x200f, "RLM"], [0x202a, "LRE"], [0x202b, "RLE"], [0x202c, "PDF"],
  [0x202d, "LRO"], [0x202e, "RLO"], [0x2060, "WJ"], [0x2066, "LRI"], [0x2067, "RLI"], [0x2068, "FSI"], [0x2069, "PDI"],
  [0xfeff, "BOM"],
]);

/** @param {string} letter */
const isPlainLatin = (letter) => {
  const [root, ...marks] = letter.normalize("NFD");
  return SINGLE.includes(letter) || (marks.length > 0 && /[A-Za-z]/u.test(root));
};

const LATIN = RANGES.flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, at) => String.fromCodePoint(first + at)))
  .filter(isPlainLatin).join("");
// One or two spaces inside a token are how people write.
const PIECE = new RegExp(`(?<plain>[!-~${LATIN}]+)|(?<gap>(?<! )(?<!^) {1,2}(?! |$))|(?<odd>.)\\k<odd>*`, "gsu");

/** One token as parts. @param {string} text @returns {Part[]} */
export function rendered(text) {
  if (text === "") return [{ text: "⟨empty⟩", isUnusual: true }];
  /** @type {Part[]} */
  const parts = [];
  for (const { 0: piece, groups } of text.matchAll(PIECE)) {
    const isUnusual = groups?.odd !== undefined;
    const last = parts.at(-1);
    if (!isUnusual && last?.isUnusual === false) last.text += piece;
    else parts.push({ text: isUnusual ? writtenOut(piece) : piece, isUnusual });
  }
  return parts;
}

/** @param {string} run of one character */
function writtenOut(run) {
  const { length } = [...run];
  const code = Number(run.codePointAt(0));
  const name = nameOf(code);
  return `⟨U+${code.toString(16).toUpperCase().padStart(4, "0")}${name && ` ${name}`}${length > 1 ? ` x${length}` : ""}⟩`;
}

/** @param {number} code */
function nameOf(code) {
  if (code >= 0xfe00 && code <= 0xfe0f) return `VS${code - 0xfe00 + 1}`;
  if (code >= 0xe0100 && code <= 0xe01ef) return `VS${code - 0xe0100 + 17}`;
  if (code >= 0xd800 && code <= 0xdfff) return "LONE SURROGATE";
  return NAMES.get(code) ?? (code >= 0x80 && code <= 0x9f ? "C1 CONTROL" : "");
}
