// Catalogue for a new job: the server's schema, presets, models and data; and the initial spec.
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

/** Presets that work without further settings first, then by number of rollouts. */
const rank = ({ settings }) => (settings.data?.train ? 0 : settings.algorithm?.group_size ?? Infinity);

/** The initial spec: none, a preset, or the settings of another job. */
export async function beginning(query, { schema, baseOf }) {
  if (!query.has("from")) return query.has("preset") ? { preset: query.get("preset") } : null;
  const { spec } = await getJson(`jobs/${encodeURIComponent(query.get("from"))}`);
  return beyondPreset(spec, { schema, base: baseOf(spec) });
}

/** The spec to write for a resolved `spec`: its preset and the differences from it. */
export function beyondPreset(spec, { schema, base }) {
  const job = { ...spec, rewards: spec.rewards.map((reward) => schema.slim(reward)) };
  return { preset: spec.preset, ...difference(job, base) };
}
