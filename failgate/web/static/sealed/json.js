// JSON with one meaning: objects are Maps, so that no name reaches a prototype and their order stays, and a number that
// is no integer within ±(2^53-1) is NaN, which nothing takes. Canonical JSON is RFC 8785 with integers alone.

const DECODER = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const ENCODER = new TextEncoder();
const DEEPEST = 64; // of what has a canonical form
const DEEPEST_READ = 512; // of what is only read
const MOST_DIGITS = 4300; // more than that Python does not read
const SPACE = /[ \t\n\r]*/y;
const STRING = /"[^"\\\x00-\x1f]*(?:\\.[^"\\\x00-\x1f]*)*"/y; // eslint-disable-line no-control-regex -- they may not stand in a text
const NUMBER = /(-?(?:0|[1-9][0-9]*))(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
const WORD = /true|false|null|NaN|-?Infinity/y;
const WORDS = new Map([["true", true], ["false", false], ["null", null]]);
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const SEXTETS = new Map([...ALPHABET].map((letter, value) => [letter, value]));

/** @typedef {Map<string, unknown>} Members */

class Reader {
  /** @param {string} text @param {boolean} isOnce */
  constructor(text, isOnce) {
    this.text = text;
    this.isOnce = isOnce;
    this.place = 0;
  }

  /** @param {RegExp} pattern sticky */
  take(pattern) {
    pattern.lastIndex = this.place;
    const found = pattern.exec(this.text);
    if (found !== null) this.place += found[0].length;
    return found;
  }

  /** Takes `sign` if it comes next, with the white space around it. @param {string} sign */
  isNext(sign) {
    this.take(SPACE);
    if (!this.text.startsWith(sign, this.place)) return false;
    this.place += sign.length;
    this.take(SPACE);
    return true;
  }

  /** @param {string} sign */
  need(sign) {
    if (!this.isNext(sign)) throw new SyntaxError(`no ${sign}`);
  }

  string() {
    const found = this.take(STRING);
    if (found === null) throw new SyntaxError("no text");
    return String(JSON.parse(found[0]));
  }

  /** @param {number} levels @returns {unknown} */
  value(levels) {
    if (levels === 0) throw new SyntaxError("too deep");
    this.take(SPACE);
    const first = this.text.charAt(this.place);
    if (first === '"') return this.string();
    if (first === "{") return this.object(levels - 1);
    if (first === "[") return this.array(levels - 1);
    const word = this.take(WORD);
    if (word !== null) return WORDS.has(word[0]) ? WORDS.get(word[0]) : Number.NaN;
    return this.number();
  }

  number() {
    const found = this.take(NUMBER);
    if (found === null) throw new SyntaxError("no value");
    const [, whole, fraction, exponent] = found;
    if (fraction !== undefined || exponent !== undefined) return Number.NaN;
    if (whole.replace("-", "").length > MOST_DIGITS) throw new SyntaxError("too many digits");
    return Number.isSafeInteger(Number(whole)) ? Number(whole) : Number.NaN;
  }

  /** @param {number} levels */
  object(levels) {
    /** @type {Members} */
    const members = new Map();
    this.need("{");
    if (this.isNext("}")) return members;
    do {
      const name = this.string();
      if (this.isOnce && members.has(name)) throw new SyntaxError("a member stands twice");
      this.need(":");
      members.set(name, this.value(levels));
    } while (this.isNext(","));
    this.need("}");
    return members;
  }

  /** @param {number} levels */
  array(levels) {
    const items = [];
    this.need("[");
    if (this.isNext("]")) return items;
    do items.push(this.value(levels));
    while (this.isNext(","));
    this.need("]");
    return items;
  }
}

/**
 * The value that `text` holds; NaN and Infinity are read as Python reads them, and nothing takes them. Throws
 * SyntaxError. `isOnce`: no member may stand twice; else the last one counts.
 * @param {string} text @param {boolean} [isOnce] @returns {unknown}
 */
export function readJson(text, isOnce = true) {
  const reader = new Reader(text, isOnce);
  const value = reader.value(DEEPEST_READ);
  reader.take(SPACE);
  if (reader.place !== text.length) throw new SyntaxError("there is more behind the value");
  return value;
}

/** What `content` spells in UTF-8; throws TypeError. @param {Uint8Array} content */
export const textOf = (content) => DECODER.decode(content);

/** @param {string} text */
export const octetsOf = (text) => ENCODER.encode(text);

/** @param {unknown} value @param {number} levels @returns {string} */
function written(value, levels) {
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "string" && value.isWellFormed()) return JSON.stringify(value);
  if (Number.isSafeInteger(value)) return String(value);
  if (levels > 0 && Array.isArray(value)) return `[${value.map((item) => written(item, levels - 1)).join(",")}]`;
  if (levels > 0 && value instanceof Map) {
    const names = [...value.keys()].sort(); // by UTF-16 code units, as RFC 8785 section 3.2.3 wants
    return `{${names.map((name) => `${written(name, 1)}:${written(value.get(name), levels - 1)}`).join(",")}}`;
  }
  throw new TypeError("the value has no canonical form");
}

/** The RFC 8785 text of a value; throws TypeError where it has none. @param {unknown} value */
export const canonical = (value) => written(value, DEEPEST);

/** A Map of the members that the program itself writes down. @param {object} members @returns {Members} */
export const mapOf = (members) => new Map(Object.entries(members));

/** @param {Uint8Array} content */
export async function sha256(content) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", content));
}

/** base64url of the SHA-256 of the canonical value. @param {unknown} value */
export const digestOf = async (value) => base64url(await sha256(octetsOf(canonical(value))));

/** @param {Uint8Array} content base64url without padding, RFC 4648 section 5 */
export function base64url(content) {
  const letters = [];
  for (let place = 0; place < content.length; place += 3) {
    const [one, two = 0, three = 0] = content.subarray(place, place + 3);
    const bits = (one << 16) | (two << 8) | three;
    const group = [18, 12, 6, 0].map((shift) => ALPHABET.charAt((bits >> shift) & 63)).join("");
    letters.push(group.slice(0, Math.min(4, content.length - place + 1)));
  }
  return letters.join("");
}

/** The bytes of the one spelling of them, else null. @param {string} text @returns {Uint8Array | null} */
export function unbase64url(text) {
  if (text.length % 4 === 1) return null;
  const content = new Uint8Array(Math.floor((text.length * 3) / 4));
  let [bits, count, place] = [0, 0, 0];
  for (const letter of text) {
    const sextet = SEXTETS.get(letter);
    if (sextet === undefined) return null;
    bits = ((bits << 6) | sextet) & 0xffff;
    count += 6;
    if (count >= 8) {
      count -= 8;
      content.set([(bits >> count) & 0xff], place);
      place += 1;
    }
  }
  return bits & ((1 << count) - 1) ? null : content;
}

/** @param {...Uint8Array} parts */
export function joined(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let place = 0;
  for (const part of parts) {
    whole.set(part, place);
    place += part.length;
  }
  return whole;
}

/** @param {Uint8Array} one @param {Uint8Array} other */
export const isSame = (one, other) => one.length === other.length && one.every((octet, place) => octet === other[place]);

/** @param {Uint8Array} content big-endian */
export const numberOf = (content) =>
  BigInt(`0x0${[...content].map((octet) => octet.toString(16).padStart(2, "0")).join("")}`);
