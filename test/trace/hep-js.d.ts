declare module 'hep-js' {
  interface Decoded {
    readonly rcinfo: Readonly<Record<string, string | number>>;
    readonly payload: string;
  }
  const hep: { decapsulate(packet: Buffer): Decoded | false };
  export default hep;
}
