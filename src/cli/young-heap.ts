import { setFlagsFromString } from 'node:v8';

// With the native engine this process sees nothing but the control plane, whose garbage comes in bursts: loading its modules, or a
// storm of AUTHs, would grow the young generation to 16 MB and more, which then stays. So it keeps its first size from here on.
setFlagsFromString('--semi-space-growth-factor=1');

/** For whatever moves bytes in JavaScript: the young generation grows as it usually does. */
export function letYoungHeapGrow(): void {
  setFlagsFromString('--semi-space-growth-factor=2');
}
