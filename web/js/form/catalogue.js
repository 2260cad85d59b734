// What a new job can be made of: the server's schema, presets, models and data; and what it begins with.
import { getJson } from "../net/api.js";
import { difference } from "./json_pointer.js";
import { SpecSchema } from "./schema.js";

export async function offeredBy() {
  const lists = ["presets", "models", "datasets", "files?limit=100"];
  const [schema, ...found] = await Promise.all([getJson("schema"), ...lists.map((list) => getJson(list))]);
  const [listed, models, datasets, files] = found.map(({ data }) => data);
  const presets = listed.toSorted((one, other) => rank(one) - rank(other));
  const read = new SpecSchema(schema);
  const presetOf = ({ preset = read.fieldAt("/preset").base }) => presets.find(({ name }) => name === preset);
  return { schema: read, presets, models, datasets, files, presetOf, baseOf: (spec) => read.base(presetOf(spec)) };
}

/** What works as it is comes first, then what draws fewest rollouts. */
const rank = ({ settings }) => (settings.data?.train ? 0 : settings.algorithm?.group_size ?? Infinity);

/** The spec to begin with: none, a preset, or what a job has beyond its preset. */
export async function beginning(query, { schema, baseOf }) {
  if (!query.has("from")) return query.has("preset") ? { preset: query.get("preset") } : null;
  const { spec } = await getJson(`jobs/${encodeURIComponent(query.get("from"))}`);
  return beyondPreset(spec, { schema, base: baseOf(spec) });
}

/** What one writes to get the resolved `spec`: its preset and what differs from it. */
export function beyondPreset(spec, { schema, base }) {
  const job = { ...spec, rewards: spec.rewards.map((reward) => schema.slim(reward)) };
  return { preset: spec.preset, ...difference(job, base) };
}
