/** Platforms that have a package with the addon, by their names in the manner of napi-rs. */
export const PLATFORMS = [
  'linux-x64-gnu',
  'linux-arm64-gnu',
  'linux-x64-musl',
  'darwin-arm64',
  'darwin-x64',
  'win32-x64-msvc',
] as const;

/** Name of the platform that this process runs on, whether it has a package or not. */
export function platformName(): string {
  const { platform, arch } = process;
  if (platform === 'linux') return `linux-${arch}-${isGlibc() ? 'gnu' : 'musl'}`;
  return platform === 'win32' ? `win32-${arch}-msvc` : `${platform}-${arch}`;
}

export function packageName(platform: string): string {
  return `@msrpd/addon-${platform}`;
}

export function fileName(platform: string): string {
  return `msrpd.${platform}.node`;
}

function isGlibc(): boolean {
  const { report } = process as unknown as { report: { excludeNetwork: boolean; getReport(): unknown } };
  // Without it the report looks up the names of its connections.
  const before = report.excludeNetwork;
  report.excludeNetwork = true;
  const { header } = report.getReport() as { header: { glibcVersionRuntime?: string } };
  report.excludeNetwork = before;
  return header.glibcVersionRuntime !== undefined;
}
