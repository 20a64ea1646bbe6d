// What is masked of callers, by the tenant's choice, until it is asked for: for half a minute at most, and not when nobody looks
// at the page.

const SHOWN_FOR = 30_000;

/** What is masked: nothing, callers' numbers, or their names, too. */
export type Masked = 'never' | 'numbers' | 'all';

class Callers {
  masked: Masked = $state('numbers');
  /** Whether somebody has asked to see what is masked. */
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

  /** A number as it is shown now. */
  number(number: string): string {
    return this.shown || this.masked === 'never' ? number : mask(number);
  }

  /** A name as it is shown now; none while names are masked. */
  name(name: string | null | undefined): string | null | undefined {
    return this.shown || this.masked !== 'all' ? name : undefined;
  }
}

export const callers = new Callers();
document.addEventListener('visibilitychange', () => document.hidden && callers.hide());

/** All but the last two digits of a number. */
function mask(number: string): string {
  const digits = number.replace(/\D/g, '').length;
  let left = digits - 2;
  return number.replace(/\d/g, (digit) => (left-- > 0 ? '•' : digit));
}
