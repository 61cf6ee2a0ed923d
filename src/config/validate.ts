import { Ajv } from 'ajv';
import type { ErrorObject } from 'ajv';
import type { ConfigProblem } from './config.ts';
import { configSchema } from './schema.ts';
import type { SchemaNode } from './schema-node.ts';
import type { ConfigSource } from './source.ts';

const ajv = new Ajv({ allErrors: true, useDefaults: true, verbose: true, allowUnionTypes: true, strictTypes: false });
ajv.addVocabulary(['unit', 'opensips']);
const validateSchema = ajv.compile(configSchema);

/** Checks a value against the schema and fills in defaults. Every mistake becomes a problem with its place. */
export function validate(source: ConfigSource, value: unknown): ConfigProblem[] {
  if (value === null || value === undefined) return [source.problem([], 'the configuration is empty')];
  if (typeof value !== 'object' || Array.isArray(value)) return [source.problem([], 'expected keys and values')];
  validateSchema(value);
  const problems: ConfigProblem[] = [];
  for (const error of validateSchema.errors ?? []) {
    const path = pathOf(error.instancePath, value);
    if (error.keyword === 'additionalProperties') {
      const name = (error.params as { additionalProperty: string }).additionalProperty;
      problems.push(source.problem([...path, name], unknownKey(name, error.parentSchema as SchemaNode)));
    } else problems.push(source.problem(path, messageOf(error)));
  }
  return problems;
}

/** JSON pointer to path; numbers are indices of lists. */
function pathOf(pointer: string, value: unknown): (string | number)[] {
  const path: (string | number)[] = [];
  let at: unknown = value;
  for (const part of pointer.split('/').slice(1)) {
    const name = part.replaceAll('~1', '/').replaceAll('~0', '~');
    path.push(Array.isArray(at) ? Number(name) : name);
    at = (at as Record<string, unknown> | undefined)?.[name];
  }
  return path;
}

function unknownKey(name: string, schema: SchemaNode): string {
  const known = Object.keys(schema.properties ?? {});
  const near = known.map((key) => [key, distance(key, name)] as const).toSorted((a, b) => a[1] - b[1])[0];
  const hint = near !== undefined && near[1] <= Math.max(2, name.length / 3) ? `; did you mean ${near[0]}?` : '';
  return `unknown key${hint || (known.length > 0 ? `; expected one of ${known.join(', ')}` : '')}`;
}

function messageOf(error: ErrorObject): string {
  const { keyword, params, data } = error;
  const schema = error.parentSchema as SchemaNode;
  const unit = schema.unit === undefined ? '' : ` (${schema.unit})`;
  const got =
    typeof data === 'object' && data !== null
      ? Array.isArray(data)
        ? 'a list'
        : 'keys and values'
      : JSON.stringify(data);
  switch (keyword) {
    case 'required':
      return `${(params as { missingProperty: string }).missingProperty} is missing`;
    case 'type': {
      const types = [(params as { type: string | string[] }).type].flat().map((type) => TYPE_WORDS[type] ?? type);
      return `expected ${types.join(' or ')}${unit}, got ${got}`;
    }
    case 'enum':
      return `expected one of ${(schema['enum'] as string[]).join(', ')}, got ${got}`;
    case 'pattern':
      return `expected a number or ${String(schema.default)}, got ${got}`;
    case 'minimum':
      return `expected ${String(schema['minimum'])} or more${unit}, got ${got}`;
    case 'maximum':
      return `expected at most ${String(schema['maximum'])}${unit}, got ${got}`;
    case 'minLength':
      return 'expected a text, got an empty one';
    case 'minItems':
      return 'expected at least one entry';
    default:
      return error.message ?? keyword;
  }
}

const TYPE_WORDS: Readonly<Record<string, string>> = {
  integer: 'a whole number',
  string: 'a text',
  boolean: 'true or false',
  array: 'a list',
  object: 'keys and values',
};

/** Edit distance (Levenshtein), for hints. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitute = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitute, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}
