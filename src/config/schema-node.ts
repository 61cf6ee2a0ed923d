/** One key of the schema. `opensips`: module and parameter; `unit`: of the number. */
export interface SchemaNode {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly unit?: string;
  readonly opensips?: string;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly patternProperties?: Readonly<Record<string, SchemaNode>>;
  readonly items?: SchemaNode;
  readonly [keyword: string]: unknown;
}

/** Makers of nodes: text, flag, number with its unit, group of keys, list. */
export const text = (description: string, more: SchemaNode = {}): SchemaNode => ({
  type: 'string',
  minLength: 1,
  description,
  ...more,
});
export const flag = (value: boolean, description: string, more: SchemaNode = {}): SchemaNode => ({
  type: 'boolean',
  default: value,
  description,
  ...more,
});
export const count = (value: number, unit: string, description: string, more: SchemaNode = {}): SchemaNode => ({
  type: 'integer',
  minimum: 0,
  maximum: 2 ** 31 - 1,
  default: value,
  unit,
  description,
  ...more,
});
export const group = (
  description: string,
  properties: Readonly<Record<string, SchemaNode>>,
  more: SchemaNode = {},
): SchemaNode => ({
  type: 'object',
  description,
  default: {},
  additionalProperties: false,
  properties,
  ...more,
});
export const list = (description: string, items: SchemaNode, more: SchemaNode = {}): SchemaNode => ({
  type: 'array',
  default: [],
  description,
  items,
  ...more,
});

/** A number of which 0 is no limit. */
export const limit = (value: number, unit: string, description: string, more: SchemaNode = {}): SchemaNode =>
  count(value, unit, `${description} 0 is no limit.`, more);

export const files = (description: string, more: SchemaNode = {}): SchemaNode => ({
  type: ['string', 'array'],
  minLength: 1,
  minItems: 1,
  items: { type: 'string', minLength: 1 },
  description,
  ...more,
});
