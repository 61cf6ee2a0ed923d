import { parseControlAddress } from '../control/address.ts';
import { parseHepId } from '../trace/hep-id.ts';
import type { Config } from './config.ts';
import type { RawConfig } from './raw.ts';

/** The parts of a configuration that belong to operators: tracing, control, metrics. */
export function readOperation(
  { msrp, hep, control, metrics }: RawConfig,
  path: (name: string | undefined) => string | undefined,
): Pick<Config, 'trace' | 'control' | 'metricsPath'> {
  const address = control.listen === undefined ? undefined : parseControlAddress(control.listen);
  const tokenFile = path(control.token_file);
  const named = msrp.trace_destination === undefined ? undefined : hep.hep_id[msrp.trace_destination];
  const destination = named === undefined ? undefined : parseHepId(named);
  const caFile = path(hep.ca_list);
  return {
    trace: {
      destination: typeof destination === 'string' ? undefined : destination,
      on: msrp.trace_on,
      rules: msrp.trace_filter_route.map(({ tls_name: tlsName, ...rule }) => ({
        ...rule,
        ...(tlsName === undefined ? {} : { tlsName }),
      })),
      frames: msrp.trace_frames,
      bodyBytes: msrp.trace_body_bytes,
      captureId: hep.hep_capture_id,
      homer5: hep.homer5_on ? hep.homer5_delim : undefined,
      opensipsProtoNumbers: hep.opensips_proto_numbers,
      opensipsAddressOrder: hep.opensips_address_order,
      queueBytes: hep.queue_bytes,
      caFile,
      verifyCert: hep.verify_cert,
    },
    control:
      address === undefined || typeof address === 'string'
        ? undefined
        : { ...address, ...(tokenFile === undefined ? {} : { tokenFile }) },
    metricsPath: metrics.path,
  };
}
