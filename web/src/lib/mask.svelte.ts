// Callers' numbers are masked until they are asked for, for half a minute at most, and when nobody looks at the page.

const SHOWN_FOR = 30_000;

class Callers {
  shown = $state(false);
  #timer: ReturnType<typeof setTimeout> | undefined;

  show() {
    this.shown = true;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.hide(), SHOWN_FOR);
  }

  hide() {
    clearTimeout(this.#timer);
    this.shown = false;
  }
}

export const callers = new Callers();
document.addEventListener('visibilitychange', () => document.hidden && callers.hide());

/** All but the last two digits of a number. */
export function mask(number: string): string {
  const digits = number.replace(/\D/g, '').length;
  let left = digits - 2;
  return number.replace(/\d/g, (digit) => (left-- > 0 ? '•' : digit));
}
