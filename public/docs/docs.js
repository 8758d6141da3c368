// Shows /openapi.json with RapiDoc (rapidoc-min.js, an unchanged release), in the colours of the console.
import "./rapidoc-min.js";

const COLOURS = {
  light: {
    theme: "light",
    "bg-color": "#faf9f6",
    "nav-bg-color": "#f1efe9",
    "text-color": "#1e2326",
    "primary-color": "#1f6077",
  },
  dark: {
    theme: "dark",
    "bg-color": "#14181a",
    "nav-bg-color": "#1b2023",
    "text-color": "#e4e7e8",
    "primary-color": "#8cc5d9",
  },
};

const dark = matchMedia("(prefers-color-scheme: dark)");
const page = document.querySelector("rapi-doc");

function applyColours() {
  for (const [name, value] of Object.entries(COLOURS[dark.matches ? "dark" : "light"])) page.setAttribute(name, value);
}

dark.addEventListener("change", applyColours);
applyColours();
