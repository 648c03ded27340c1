// The settings as a table: what each is called, which values it takes, where it stands.
//
// A key is the field's place in a job's request. `choices` names a list of GET /api/v1/choices.
// A value of null leaves the field to the model. `modes` are those that have the field.

/**
 * @typedef {object} Field
 * @property {string} key
 * @property {string} label
 * @property {"integer" | "number" | "slider" | "choice" | "text" | "switch" | "seed"} kind
 * @property {string} group
 * @property {any} [standard] the value of a field that nobody touched
 * @property {number} [min]
 * @property {number} [max]
 * @property {number} [step]
 * @property {string} [choices]
 * @property {{name: string, label: string}[]} [values]
 * @property {string} [unset] the name of null in a list, or what an empty box shows
 * @property {string} [hint] stands below the control
 * @property {string} [tip] is shown on hovering
 * @property {string[]} [modes]
 * @property {string} [needs] a list; without any in it the field is not shown
 * @property {boolean} [wide]
 */

/** Control units that the page shows; a job may have more. */
export const UNITS = 4;
/** Adapters that read pictures as prompts; a job may have more. */
export const PROMPTS = 2;

/**
 * A group with `after` is shown once that switch is on. A group with a `part` has a switch; the part is left out of the request while it is off. One with `within` stands in another group, which comes before it.
 * @type {{name: string, label: string, open?: boolean, modes?: string[], part?: string, after?: string, within?: string}[]}
 */
export const GROUPS = [
  { name: "source", label: "Picture", open: true, modes: ["image", "inpaint", "upscale"] },
  { name: "mask", label: "Mask", open: true, modes: ["inpaint"] },
  { name: "main", label: "Settings", open: true },
  { name: "hires", label: "Hires fix", modes: ["text"], part: "hires" },
  { name: "variation", label: "Variation", part: "variation" },
  { name: "refiner", label: "Refiner", part: "refiner" },
  ...numberedGroups("control", "Control", "controls", UNITS),
  ...numberedGroups("prompt", "Picture prompt", "image_prompts", PROMPTS),
  { name: "guidance", label: "Guidance options" },
  { name: "thresholding", label: "Dynamic thresholding", part: "guidance_options.thresholding", within: "guidance" },
  { name: "attention", label: "Self-attention guidance", part: "guidance_options.self_attention", within: "guidance" },
  { name: "freeu", label: "FreeU", part: "guidance_options.freeu", within: "guidance" },
  { name: "shortcuts", label: "Shortcuts" },
  { name: "merging", label: "Token merging", part: "guidance_options.merging", within: "shortcuts" },
  { name: "tiles", label: "HyperTile", part: "guidance_options.tiles", within: "shortcuts" },
  { name: "cache", label: "DeepCache", part: "guidance_options.cache", within: "shortcuts" },
  { name: "more", label: "More" },
  { name: "rare", label: "Rare" },
];

const MODEL = "the model’s own";

/** @type {Field[]} */
export const FIELDS = [
  { key: "model", label: "Model", kind: "choice", group: "main", choices: "models", unset: "The server’s default", wide: true },
  { key: "vae", label: "VAE", kind: "choice", group: "main", choices: "vaes", unset: "The model’s own", needs: "vaes", wide: true, tip: "Turns latents into pixels: other ones have other colours and finer detail." },
  { key: "width", label: "Width", kind: "integer", group: "main", min: 8, max: 16384, step: 8, unset: "auto", modes: ["text", "image", "inpaint"] },
  { key: "height", label: "Height", kind: "integer", group: "main", min: 8, max: 16384, step: 8, unset: "auto", modes: ["text", "image", "inpaint"] },
  { key: "steps", label: "Steps", kind: "integer", group: "main", min: 1, max: 1000, unset: MODEL },
  { key: "guidance", label: "Guidance", kind: "number", group: "main", min: 0, max: 100, step: 0.5, unset: MODEL, tip: "How closely to follow the prompt. 1 turns guidance off and halves the work." },
  { key: "sampler", label: "Sampler", kind: "choice", group: "main", choices: "sampler", unset: "The model’s own" },
  { key: "schedule", label: "Schedule", kind: "choice", group: "main", choices: "schedule", unset: "The sampler’s own" },
  { key: "seed", label: "Seed", kind: "seed", group: "main", min: 0, max: 2 ** 53 - 1, unset: "random" },
  { key: "count", label: "Pictures", kind: "integer", group: "main", min: 1, max: 1000, standard: 1 },

  { key: "init_image.strength", label: "Strength", kind: "slider", group: "source", min: 0, max: 1, step: 0.01, standard: 0.75, modes: ["image", "inpaint"], hint: "How much is drawn anew: 0.2 changes little, 0.9 keeps hardly anything." },
  { key: "init_image.resize", label: "Fit", kind: "choice", group: "source", choices: "resize", standard: "stretch", modes: ["image", "inpaint"], hint: "How the picture comes to the size that is drawn." },
  { key: "init_image.noise", label: "Noise", kind: "number", group: "source", min: 0, max: 2, step: 0.01, standard: 1, modes: ["image", "inpaint"], hint: "Less than 1 gives smoother pictures, more gives detail." },
  { key: "init_image.keep_colours", label: "Keep its colours", kind: "switch", group: "source", standard: false, modes: ["image", "inpaint"] },
  { key: "upscale.scale", label: "Scale", kind: "slider", group: "source", min: 1, max: 4, step: 0.25, standard: 2, modes: ["upscale"] },
  { key: "upscale.upscaler", label: "Enlarged by", kind: "choice", group: "source", choices: "upscaler_network", unset: "stretching", modes: ["upscale"], hint: "A network of the server’s folder of upscalers." },
  { key: "upscale.strength", label: "Strength", kind: "slider", group: "source", min: 0, max: 1, step: 0.01, standard: 0.3, modes: ["upscale"], hint: "0.2 sharpens, 0.5 invents." },

  { key: "init_image.inpaint.content", label: "Starts from", kind: "choice", group: "mask", choices: "content", standard: "original", modes: ["inpaint"], hint: "All but the original need a strength near 1." },
  { key: "init_image.inpaint.area", label: "Area", kind: "choice", group: "mask", choices: "area", standard: "whole", modes: ["inpaint"], hint: "“Only masked” draws a box around the mask at full size, which gives detail to small things." },
  { key: "init_image.inpaint.blur", label: "Soft edge", kind: "number", group: "mask", min: 0, max: 64, step: 1, standard: 4, modes: ["inpaint"], hint: "Pixels over which old and new are mixed." },
  { key: "init_image.inpaint.blur_down", label: "Soft edge, up and down", kind: "number", group: "mask", min: 0, max: 64, step: 1, unset: "the same", modes: ["inpaint"] },
  { key: "init_image.inpaint.padding", label: "Padding", kind: "integer", group: "mask", min: 0, max: 1024, standard: 32, modes: ["inpaint"], hint: "Pixels of surroundings in the box of “only masked”." },
  { key: "init_image.inpaint.invert", label: "Draw what is not painted", kind: "switch", group: "mask", standard: false, modes: ["inpaint"], wide: true },
  { key: "init_image.inpaint.soft", label: "Soft mask at each step", kind: "switch", group: "mask", standard: false, modes: ["inpaint"], wide: true },

  { key: "hires.scale", label: "Scale", kind: "slider", group: "hires", min: 1, max: 4, step: 0.05, standard: 2 },
  { key: "hires.to_width", label: "To width", kind: "integer", group: "hires", min: 8, max: 16384, step: 8, unset: "by scale", hint: "In place of the scale. Two sides are cut for another shape." },
  { key: "hires.to_height", label: "To height", kind: "integer", group: "hires", min: 8, max: 16384, step: 8, unset: "by scale" },
  { key: "hires.strength", label: "Strength", kind: "slider", group: "hires", min: 0.05, max: 1, step: 0.01, standard: 0.7 },
  { key: "hires.upscaler", label: "Upscaler", kind: "choice", group: "hires", choices: "upscaler", standard: "latent", hint: "Those of latents need a strength of 0.5 and more." },
  { key: "hires.steps", label: "Steps", kind: "integer", group: "hires", min: 1, max: 1000, unset: "as above" },
  { key: "hires.sampler", label: "Sampler", kind: "choice", group: "hires", choices: "sampler", unset: "As above" },
  { key: "hires.schedule", label: "Schedule", kind: "choice", group: "hires", choices: "schedule", unset: "As above" },
  { key: "hires.guidance", label: "Guidance", kind: "number", group: "hires", min: 0, max: 100, step: 0.5, unset: "as above" },
  { key: "hires.model", label: "Model", kind: "choice", group: "hires", choices: "models", unset: "As above", wide: true },
  { key: "hires.prompt", label: "Prompt", kind: "text", group: "hires", unset: "as above", wide: true },
  { key: "hires.negative", label: "Negative prompt", kind: "text", group: "hires", unset: "as above", wide: true },

  { key: "variation.strength", label: "Strength", kind: "slider", group: "variation", min: 0, max: 1, step: 0.01, standard: 0.1, hint: "0 is the seed’s own noise, 1 that of the other seed." },
  { key: "variation.seed", label: "Other seed", kind: "seed", group: "variation", min: 0, max: 2 ** 53 - 1, unset: "random" },
  { key: "variation.from_width", label: "Seed’s width", kind: "integer", group: "variation", min: 8, max: 16384, step: 8, unset: "as drawn", hint: "Keeps a picture recognisable at another size: give the size that the seed drew." },
  { key: "variation.from_height", label: "Seed’s height", kind: "integer", group: "variation", min: 8, max: 16384, step: 8, unset: "as drawn" },

  { key: "refiner.model", label: "Model", kind: "choice", group: "refiner", choices: "models", unset: "Choose a model", wide: true },
  { key: "refiner.switch", label: "Takes over at", kind: "slider", group: "refiner", min: 0, max: 1, step: 0.05, standard: 0.8, wide: true, hint: "The share of the steps that the first model makes. Not with hires fix." },

  ...unitFields(),
  ...promptFields(),

  { key: "guidance_options.rescale", label: "Rescale", kind: "slider", group: "guidance", min: 0, max: 1, step: 0.05, standard: 0, hint: "Takes back what a high guidance does to contrast; 0.7 is usual. Not with thresholding." },
  { key: "guidance_options.perturbed", label: "Perturbed attention", kind: "number", group: "guidance", min: 0, max: 100, step: 0.5, standard: 0, hint: "Scale of PAG: firmer shapes for half as much work again. 3 is usual." },
  { key: "guidance_options.skip_early", label: "Skip the first calls", kind: "number", group: "guidance", min: 0, max: 1, step: 0.05, standard: 0, hint: "The share of calls that leave the negative prompt out." },
  { key: "guidance_options.skip_below", label: "Skip below σ", kind: "number", group: "guidance", min: 0, max: 1e6, step: 0.5, standard: 0, hint: "Below it every second call leaves the negative prompt out (NGMS)." },
  { key: "guidance_options.skip_all", label: "Every call below that σ", kind: "switch", group: "guidance", standard: false, wide: true },

  { key: "guidance_options.thresholding.mimic_scale", label: "Mimic scale", kind: "number", group: "thresholding", min: 0, max: 100, step: 0.5, standard: 7, hint: "A lower guidance, whose range of colours is kept." },
  { key: "guidance_options.thresholding.percentile", label: "Percentile", kind: "number", group: "thresholding", min: 0, max: 1, step: 0.005, standard: 1, hint: "The share of values that are not clipped." },
  { key: "guidance_options.thresholding.startpoint", label: "Around", kind: "choice", group: "thresholding", standard: "mean", values: [{ name: "mean", label: "The mean" }, { name: "zero", label: "Zero" }] },
  { key: "guidance_options.thresholding.measure", label: "Range by", kind: "choice", group: "thresholding", standard: "AD", values: [{ name: "AD", label: "Largest distance" }, { name: "STD", label: "Deviation" }] },
  { key: "guidance_options.thresholding.share", label: "Share", kind: "slider", group: "thresholding", min: 0, max: 1, step: 0.05, standard: 1 },
  { key: "guidance_options.thresholding.separate_channels", label: "Each channel by itself", kind: "switch", group: "thresholding", standard: true, wide: true },

  { key: "guidance_options.self_attention.scale", label: "Scale", kind: "number", group: "attention", min: -100, max: 100, step: 0.05, standard: 0.5, hint: "Away from a picture that is blurred where the network looks." },
  { key: "guidance_options.self_attention.blur", label: "Blur", kind: "number", group: "attention", min: 0.01, max: 100, step: 0.5, standard: 2, hint: "In latent pixels." },
  { key: "guidance_options.self_attention.threshold", label: "Threshold", kind: "number", group: "attention", min: 0, max: 100, step: 0.1, standard: 1, hint: "Places that are looked at more than so many times the mean." },

  { key: "guidance_options.merging.ratio", label: "Share", kind: "slider", group: "merging", min: 0, max: 0.75, step: 0.05, standard: 0.5, hint: "Similar tokens that are merged. 0.5 is quick and changes small things." },
  { key: "guidance_options.merging.hires", label: "Share with hires fix", kind: "slider", group: "merging", min: 0, max: 0.75, step: 0.05, standard: 0, hint: "0 is as above.", modes: ["text"] },
  { key: "guidance_options.merging.downsample", label: "Levels up to scale", kind: "integer", group: "merging", min: 1, max: 8, standard: 1, hint: "XL needs 2: it has no attention at 1." },

  { key: "guidance_options.tiles.tile", label: "Tile", kind: "integer", group: "tiles", min: 32, max: 4096, step: 32, standard: 256, hint: "Pixels. Attention looks within tiles, which helps large pictures." },
  { key: "guidance_options.tiles.swap", label: "Numbers in turn", kind: "integer", group: "tiles", min: 1, max: 128, standard: 2, hint: "More hide the seams better." },
  { key: "guidance_options.tiles.depth", label: "Depth", kind: "integer", group: "tiles", min: 0, max: 8, standard: 0, hint: "Levels below the largest that have tiles, too." },

  { key: "guidance_options.cache.interval", label: "Interval", kind: "integer", group: "cache", min: 1, max: 100, standard: 3, hint: "The depth of the network is computed in every so many calls." },
  { key: "guidance_options.cache.branch", label: "Branch", kind: "integer", group: "cache", min: 0, max: 24, standard: 0, hint: "0 saves the most." },

  { key: "guidance_options.freeu.b1", label: "B1", kind: "number", group: "freeu", min: 0, max: 10, step: 0.05, standard: 1.3, tip: "Factor of the innermost features" },
  { key: "guidance_options.freeu.b2", label: "B2", kind: "number", group: "freeu", min: 0, max: 10, step: 0.05, standard: 1.4, tip: "Factor of the features around them" },
  { key: "guidance_options.freeu.s1", label: "S1", kind: "number", group: "freeu", min: 0, max: 10, step: 0.05, standard: 0.9, tip: "Factor of low frequencies in the innermost skip connections" },
  { key: "guidance_options.freeu.s2", label: "S2", kind: "number", group: "freeu", min: 0, max: 10, step: 0.05, standard: 0.2, tip: "The same of those around them" },
  { key: "guidance_options.freeu.version", label: "Version", kind: "integer", group: "freeu", min: 1, max: 2, standard: 2 },

  { key: "batch", label: "At once", kind: "integer", group: "more", min: 1, max: 64, unset: "up to 4", hint: "Pictures that are computed together. It changes no picture." },
  { key: "clip_skip", label: "Clip skip", kind: "integer", group: "more", min: 1, max: 12, standard: 1 },
  { key: "seamless", label: "Seamless", kind: "choice", group: "more", standard: "", values: [
    { name: "", label: "No" }, { name: "x", label: "Left and right" }, { name: "y", label: "Top and bottom" }, { name: "xy", label: "All edges" }], hint: "Edges that meet when the picture is repeated." },
  { key: "emphasis", label: "Weights in prompts", kind: "choice", group: "more", choices: "emphasis", standard: "original" },
  { key: "eta", label: "Eta", kind: "number", group: "more", min: 0, max: 1, step: 0.05, unset: "the sampler’s", hint: "Noise that DDIM or an ancestral sampler adds." },
  { key: "rng", label: "Noise", kind: "choice", group: "more", choices: "rng", standard: "nv", hint: "The generator that a seed is for: NV, or PyTorch’s on a CPU." },
  { key: "preview_every", label: "Preview every", kind: "integer", group: "more", min: 0, max: 1000, unset: "as the server", hint: "Steps from preview to preview; 0 for none." },
  { key: "vae_tiling", label: "VAE in tiles", kind: "choice", group: "more", choices: "vae_tiling", standard: "auto" },

  { key: "sampling.order", label: "Order", kind: "integer", group: "rare", min: 1, max: 4, unset: "the sampler’s", hint: "Of a multistep sampler." },
  { key: "sampling.s_churn", label: "Churn", kind: "number", group: "rare", min: 0, step: 0.1, unset: "the sampler’s", hint: "Noise that is added before a step." },
  { key: "sampling.s_tmin", label: "Churn from σ", kind: "number", group: "rare", min: 0, step: 0.1, unset: "the sampler’s" },
  { key: "sampling.s_tmax", label: "Churn to σ", kind: "number", group: "rare", min: 0, step: 0.1, unset: "the sampler’s" },
  { key: "sampling.s_noise", label: "Noise scale", kind: "number", group: "rare", min: 0, step: 0.01, unset: "the sampler’s" },
  { key: "sampling.sigma_min", label: "Least σ", kind: "number", group: "rare", min: 0, step: 0.01, unset: "the schedule’s" },
  { key: "sampling.sigma_max", label: "Largest σ", kind: "number", group: "rare", min: 0, step: 0.1, unset: "the schedule’s" },
  { key: "sampling.rho", label: "Rho", kind: "number", group: "rare", min: 0, step: 0.1, unset: "the schedule’s", hint: "The exponent of the schedule." },
  { key: "sampling.noise_seed_delta", label: "Noise seed delta", kind: "integer", group: "rare", unset: "0", hint: "ENSD of the WebUI." },
  { key: "zero_snr", label: "Rescale noise to zero terminal SNR", kind: "switch", group: "rare", standard: false, wide: true },
];

/** Return groups of one kind, of which each is shown once the one before is on.
 * @param {string} name @param {string} label @param {string} part @param {number} count */
function numberedGroups(name, label, part, count) {
  return Array.from({ length: count }, (_, place) => ({
    name: `${name}${place + 1}`, label: `${label} ${place + 1}`, part: `${part}.${place}`, after: place ? `${name}${place}.on` : undefined,
  }));
}

/** Return the fields of such groups. @param {string} name @param {string} part @param {number} count
 * @param {Omit<Field, "group">[]} fields @returns {Field[]} */
function numberedFields(name, part, count, fields) {
  return Array.from({ length: count }, (_, place) =>
    fields.map((field) => ({ ...field, key: `${part}.${place}.${field.key}`, group: `${name}${place + 1}` }))).flat();
}

function unitFields() {
  return numberedFields("control", "controls", UNITS, [
    { key: "model", label: "Model", kind: "choice", choices: "control_models", unset: "Choose a network", wide: true },
    { key: "preprocessor", label: "Preprocessor", kind: "choice", choices: "preprocessors", standard: "none", wide: true },
    { key: "resolution", label: "Resolution", kind: "integer", min: 64, max: 4096, step: 64, unset: "as drawn", tip: "The shorter side of the map" },
    { key: "threshold_a", label: "A", kind: "number", unset: "usual" },
    { key: "threshold_b", label: "B", kind: "number", unset: "usual" },
    { key: "weight", label: "Weight", kind: "slider", min: 0, max: 2, step: 0.05, standard: 1 },
    { key: "start", label: "Starts at", kind: "number", min: 0, max: 1, step: 0.05, standard: 0, tip: "Share of the steps" },
    { key: "end", label: "Ends at", kind: "number", min: 0, max: 1, step: 0.05, standard: 1, tip: "Share of the steps" },
    { key: "mode", label: "Mode", kind: "choice", choices: "control_mode", standard: "balanced" },
    { key: "resize", label: "Fit", kind: "choice", choices: "control_resize", standard: "crop" },
    { key: "kind", label: "Shows", kind: "choice", choices: "control_kind", unset: "As its preprocessor" },
    { key: "passes", label: "With hires fix", kind: "choice", choices: "control_passes", standard: "both", modes: ["text"] },
  ]);
}

function promptFields() {
  return numberedFields("prompt", "image_prompts", PROMPTS, [
    { key: "model", label: "Adapter", kind: "choice", choices: "ip_adapters", unset: "Choose an IP-Adapter", wide: true },
    { key: "encoder", label: "Image encoder", kind: "choice", choices: "image_encoders", unset: "One that fits", wide: true },
    { key: "weight", label: "Weight", kind: "slider", min: -1, max: 2, step: 0.05, standard: 1, wide: true },
    { key: "start", label: "Starts at", kind: "number", min: 0, max: 1, step: 0.05, standard: 0, tip: "Share of the steps" },
    { key: "end", label: "Ends at", kind: "number", min: 0, max: 1, step: 0.05, standard: 1, tip: "Share of the steps" },
    { key: "weight_type", label: "Counts for", kind: "choice", choices: "ip_weight_type", standard: "linear" },
    { key: "combine", label: "Several pictures", kind: "choice", choices: "ip_combine", standard: "concat" },
    { key: "scaling", label: "Weighs", kind: "choice", choices: "ip_scaling", standard: "v" },
    { key: "resize", label: "Fit", kind: "choice", choices: "ip_resize", standard: "crop" },
    { key: "passes", label: "With hires fix", kind: "choice", choices: "control_passes", standard: "both", modes: ["text"] },
  ]);
}

/** Prompts and switches that stand outside of the groups. @type {Field[]} */
const OTHERS = [
  { key: "prompt", label: "Prompt", kind: "text", group: "", standard: "" },
  { key: "negative", label: "Negative prompt", kind: "text", group: "", standard: "" },
  { key: "styles", label: "Styles", kind: "text", group: "", standard: [] },
  { key: "mode", label: "Mode", kind: "text", group: "", standard: "text" },
];

/** @type {Map<string, Field>} */
export const BY_KEY = new Map([...OTHERS, ...FIELDS].map((field) => [field.key, field]));
for (const { name, label, part } of GROUPS) {
  if (part) BY_KEY.set(`${name}.on`, { key: `${name}.on`, label, kind: "switch", group: "", standard: false });
}

/** Return the switch of a field's group, such as "hires.on"; null where it has none. @param {string} key */
export function switchOf(key) {
  const group = GROUPS.find((each) => each.name === BY_KEY.get(key)?.group);
  return group?.part ? `${group.name}.on` : null;
}

/** Return the value of a field that nobody touched. @param {string} key */
export function standardValue(key) {
  return BY_KEY.get(key)?.standard ?? null;
}

/** Return a field's full name, such as "Hires fix: steps". @param {string} key */
export function fullLabel(key) {
  const field = BY_KEY.get(key);
  if (!field) return key;
  const group = GROUPS.find((each) => each.name === field.group);
  const alone = !group || ["main", "more", "rare", "source", "guidance"].includes(group.name);
  return alone ? field.label : `${group.label}: ${field.label.toLowerCase()}`;
}

/** Tell whether a mode has a field. @param {Field} field @param {string} mode */
export function inMode(field, mode) {
  const group = GROUPS.find((each) => each.name === field.group);
  return [field, group].every((each) => !each?.modes || each.modes.includes(mode));
}
