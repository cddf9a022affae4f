// Why something sealed or signed is not believed: the words of docs/sealed.md, which stay.

export class Refused extends Error {
  /** @param {string} reason one of the words @param {string} place where it was found; holds nothing of what was refused */
  constructor(reason, place) {
    super(`${reason} (${place})`);
    this.reason = reason;
    this.place = place;
  }
}
