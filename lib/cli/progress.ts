/** What goes on, on a terminal: in one line that is gone when there is something to say. */
import type { CommandLine } from './terminal.ts';

export class Progress {
  readonly #stream: CommandLine['stderr'];
  #isShown = false;

  constructor(stream: CommandLine['stderr']) {
    this.#stream = stream;
  }

  /** Shows it until something else is shown, or {@link clear}. In a pipe it would stay for ever: there it is not shown. */
  show(text: string): void {
    if (!this.#stream.isTTY) return;
    this.#stream.write(`\r\x1b[2K${text} …`);
    this.#isShown = true;
  }

  clear(): void {
    if (this.#isShown) this.#stream.write('\r\x1b[2K');
    this.#isShown = false;
  }

  /**
   * Shows how much time is left; in a pipe says once what is waited for.
   *
   * @param milliseconds From now.
   * @returns what ends it.
   */
  wait(text: string, milliseconds: number, signal: AbortSignal): () => void {
    if (!this.#stream.isTTY) {
      this.#stream.write(`${text}, for ${milliseconds / 1000} s.\n`);
      return () => {};
    }
    const until = Date.now() + milliseconds;
    const show = () => {
      const seconds = Math.max(0, Math.ceil((until - Date.now()) / 1000));
      this.show(`${text}: ${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')} left`);
    };
    show();
    const timer = setInterval(show, 1000);
    const end = () => {
      clearInterval(timer);
      this.clear();
    };
    signal.addEventListener('abort', end, { once: true });
    return end;
  }
}
