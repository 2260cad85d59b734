// The spec's JSON schema as read for a form: kind, values and default of each field.
import { isSame, join, merge } from "./json_pointer.js";

/** Fields that often have several lines. */
const LONG = /^\/data\/(train|eval|prompt|answer|system)$|^\/rewards(\/\d+\/(source|definition|input|reference|rubric|rewards|calculate_output))?$/;

export class SpecSchema {
  constructor(document) {
    this.definitions = document.$defs;
    this.root = this.field(document, "");
    this.rewards = document.properties.rewards.items.discriminator.mapping;
    this.rewardTypes = Object.keys(this.rewards).sort();
  }

  /**
   * A field: `kind` is section, choice, text or value (a number, a list or a mapping, as YAML).
   * `isOptional`: it may be null, which is "none".
   */
  field(written, pointer) {
    const node = this.resolved(written);
    const variants = (node.anyOf ?? [node]).map((each) => this.resolved(each));
    const taken = variants.filter(({ type }) => type !== "null");
    const [first] = taken;
    return {
      pointer,
      name: pointer.slice(pointer.lastIndexOf("/") + 1),
      description: node.description ?? first.description ?? "",
      base: node.default,
      isOptional: taken.length < variants.length,
      isFixed: "const" in first && taken.length === 1,
      bounds: taken.map(bounds).find(Boolean) ?? "",
      ...shape(taken),
      properties: first.properties,
    };
  }

  /** A section's fields in their order, without those that can have one value only. */
  fields({ properties, pointer }) {
    return Object.entries(properties)
      .map(([name, node]) => this.field(node, join(pointer, name)))
      .filter((field) => !field.isFixed);
  }

  fieldAt(pointer) {
    return pointer.split("/").slice(1).reduce(
      (field, name) => field?.properties?.[name] && this.field(field.properties[name], join(field.pointer, name)), this.root);
  }

  reward(type, pointer) {
    const $ref = Object.hasOwn(this.rewards, type) ? this.rewards[type] : undefined;
    return $ref && this.field({ $ref }, pointer);
  }

  /** The spec before any user settings: the defaults with the preset's settings. */
  base(preset) {
    const defaults = Object.entries(this.root.properties).map(([name, node]) => [name, this.resolved(node).default]);
    const base = merge(Object.fromEntries(defaults), preset?.settings ?? {});
    return { ...base, rewards: base.rewards.map((reward) => this.slim(reward)) };
  }

  /** A reward without settings equal to their defaults. */
  slim(reward) {
    const properties = this.reward(reward.type, "")?.properties ?? {};
    return Object.fromEntries(Object.entries(reward).filter(([name, value]) =>
      properties[name]?.default === undefined || !isSame(properties[name].default, value)));
  }

  resolved({ $ref, ...beside }) {
    return $ref ? { ...this.definitions[$ref.split("/").at(-1)], ...beside } : beside;
  }
}

function shape(taken) {
  const [first] = taken;
  const choices = taken.flatMap((each) => each.enum ?? ("const" in each ? [each.const] : [undefined]));
  if (taken.length === 1 && first.properties) return { kind: "section" };
  if (taken.length === 1 && first.type === "boolean") return { kind: "choice", choices: [true, false] };
  if (choices.every((choice) => choice !== undefined)) return { kind: "choice", choices };
  if (taken.length === 1 && first.type === "string") return { kind: "text" };
  return { kind: "value" };
}

function bounds({ minimum, exclusiveMinimum, maximum, exclusiveMaximum }) {
  const least = minimum ?? exclusiveMinimum;
  const most = maximum ?? (exclusiveMaximum < 1e9 ? exclusiveMaximum : undefined);
  const show = (value) => value.toLocaleString("en");
  if (minimum !== undefined && maximum !== undefined) return `${show(minimum)} to ${show(maximum)}`;
  return [
    least !== undefined && `${minimum === undefined ? "above" : "at least"} ${show(least)}`,
    most !== undefined && `${maximum === undefined ? "below" : "at most"} ${show(most)}`,
  ].filter(Boolean).join(", ");
}

export const isLong = (pointer) => LONG.test(pointer);

/** `prompts_per_step` as a label. */
export const labelOf = (name) => name.charAt(0).toUpperCase() + name.slice(1).replaceAll("_", " ");
