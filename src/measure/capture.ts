import type { FramerOptions } from '../frame/framer.ts';
import { RECORD_WORDS } from '../frame/record.ts';
import { IMPLEMENTATIONS, WORK, contenders } from './contenders.ts';
import type { Implementation, Work } from './contenders.ts';
import { BATCH, agree, scanAll } from './frames.ts';
import type { Content } from './frames.ts';
import { intervalOf, medianOf, ratios } from './interval.ts';
import type { Interval } from './interval.ts';
import { interleave } from './rounds.ts';
import type { Effort } from './rounds.ts';

/** How fast a capture is framed. */
export interface CaptureFigures {
  readonly content: Content;
  /** One for each work and implementation. */
  readonly rows: readonly CaptureRow[];
  /** Why there are no rows of the native implementation. */
  readonly absent?: string;
}

interface CaptureRow {
  readonly work: Work;
  readonly implementation: Implementation;
  readonly nsPerFrame: number;
  readonly mbPerSecond: number;
  /** How many times as fast as TypeScript; undefined in its own row. */
  readonly ratio?: Interval;
}

/** Times every implementation at framing and decoding `bytes`. Throws when they do not agree on the records. */
export function measureCapture(bytes: Buffer, options: { readonly strict?: boolean }, effort: Effort): CaptureFigures {
  const { make, absent } = contenders();
  const present = IMPLEMENTATIONS.filter((name) => name !== 'native' || absent === undefined);
  // As `parse()` does: every frame lies whole in the capture.
  const framing: FramerOptions = { ...options, streamAfterBytes: Infinity };
  let content: Content = { frames: 0, bad: 0, end: 0 };
  const rows: CaptureRow[] = [];
  for (const work of WORK) {
    const [first = make('TypeScript', work, framing), ...others] = present.map((name) => make(name, work, framing));
    content = agree([first, ...others], bytes);
    if (content.frames === 0) break;
    const { frames, end } = content;
    const runs = present.map((name) => {
      const framer = make(name, work, framing);
      const records = new Uint32Array(BATCH * RECORD_WORDS);
      return () => void scanAll(framer, bytes, end, records);
    });
    const times = interleave(runs, effort);
    const [ofTs = []] = times;
    for (const [index, implementation] of present.entries()) {
      const own = times[index] ?? [];
      const ns = medianOf(own);
      const ratio = implementation === 'TypeScript' ? {} : { ratio: intervalOf([ratios(ofTs, own)]) };
      rows.push({ work, implementation, nsPerFrame: ns / frames, mbPerSecond: (end / ns) * 1000, ...ratio });
    }
  }
  return { content, rows, ...(absent === undefined ? {} : { absent }) };
}
