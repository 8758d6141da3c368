import { defineConfig } from "vite";

// while developing, Vite serves the page, and passes /api on to server.mjs
export default defineConfig({ server: { port: 3000, proxy: { "/api": "http://localhost:3001" } } });
