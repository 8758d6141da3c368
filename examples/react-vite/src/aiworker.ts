import { Aiworker } from "aiworker-client";

/** The Worker is on another origin, which must list this page's in its ALLOWED_ORIGINS. */
export const ai = new Aiworker({
  baseUrl: import.meta.env.VITE_AIWORKER_URL ?? "http://localhost:8787",
  getToken: "/api/token",
});
