import { LineCounter, isMap, isNode, isPair, isScalar, parseDocument } from 'yaml';
import type { Document, Node } from 'yaml';
import type { ConfigProblem } from './config.ts';

/** A configuration text with the places of its keys, so that a mistake can be shown where it stands. */
export class ConfigSource {
  readonly file: string;
  /** The parsed value; undefined when the text is no YAML. */
  readonly value: unknown;
  /** Mistakes of the text itself. */
  readonly problems: readonly ConfigProblem[];
  readonly #document: Document | undefined;
  readonly #lines = new LineCounter();

  constructor(text: string, file: string) {
    this.file = file;
    const problems: ConfigProblem[] = [];
    this.problems = problems;
    if (text.length > MAX_CHARS) {
      problems.push(this.problem([], `the file is larger than ${MAX_CHARS} characters`));
      return;
    }
    // JSON is a subset of YAML 1.2. A tag could make something else than data.
    this.#document = parseDocument(text, {
      lineCounter: this.#lines,
      version: '1.2',
      schema: 'core',
      customTags: [],
      logLevel: 'error',
    });
    for (const error of this.#document.errors) {
      const place = error.linePos?.[0] ?? { line: 0, col: 0 };
      const message = (error.message.split('\n')[0] as string).replace(/ at line \d+, column \d+:?$/, '');
      problems.push({ file, line: place.line, column: place.col, key: '', message });
    }
    if (problems.length > 0) return;
    try {
      this.value = this.#document.toJS({ maxAliasCount: 32 }) as unknown;
    } catch (error) {
      problems.push(this.problem([], error instanceof Error ? error.message : String(error)));
    }
  }

  /** A mistake at a key: the place is that of the nearest part of the path that exists. */
  problem(path: readonly (string | number)[], message: string): ConfigProblem {
    const offset = this.#offset(path);
    const place = offset === undefined ? { line: 0, col: 0 } : this.#lines.linePos(offset);
    return { file: this.file, line: place.line, column: place.col, key: keyText(path), message };
  }

  #offset(path: readonly (string | number)[]): number | undefined {
    let node: unknown = this.#document?.contents;
    let found = rangeStart(node);
    for (const part of path) {
      if (isMap(node)) {
        const pair = node.items.find(
          (item) => isPair(item) && isScalar(item.key) && String(item.key.value) === String(part),
        );
        if (pair === undefined) return found;
        found = rangeStart(pair.key) ?? found;
        node = pair.value;
      } else {
        const items = (node as { items?: unknown[] } | undefined)?.items;
        node = items?.[Number(part)];
        if (node === undefined) return found;
        found = rangeStart(node) ?? found;
      }
    }
    return found;
  }
}

/** Dotted path as operators write it: `listeners[1].uri`. */
export function keyText(path: readonly (string | number)[]): string {
  let text = '';
  for (const part of path) text += typeof part === 'number' ? `[${part}]` : text === '' ? part : `.${part}`;
  return text;
}

const MAX_CHARS = 1024 * 1024;

function rangeStart(node: unknown): number | undefined {
  return isNode(node) ? ((node as Node).range?.[0] ?? undefined) : undefined;
}
