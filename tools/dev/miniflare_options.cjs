// For modules that `node --require` loads into wrangler: changes the options with which it starts miniflare. wrangler has no
// option of its own for this.
const Module = require("node:module");

/** @param {(options: object) => object} change given the options, returns those that miniflare gets */
module.exports = function changeMiniflareOptions(change) {
  const load = Module._load;
  let miniflare;

  Module._load = function (request, ...rest) {
    const loaded = load.call(this, request, ...rest);
    if (request !== "miniflare" || !loaded.convertV4MiniflareOptions) return loaded;
    miniflare ??= Object.create(loaded, {
      convertV4MiniflareOptions: {
        value: (options) => loaded.convertV4MiniflareOptions(change(options)),
        enumerable: true,
      },
    });
    return miniflare;
  };
};
