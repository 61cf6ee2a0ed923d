/** What of Node the bundle has everywhere. */
export { Buffer } from 'buffer';
