// The screens, in the order of the rail. A screen is shown if the Worker has its routes; its file is loaded when it is opened.

export const SCREENS = [
  { name: "home", title: "Home", routes: [], load: () => import("./home/home.js") },
  { name: "chat", title: "Chat", routes: ["POST /chat"], load: () => import("./chat/chat.js") },
  {
    name: "documents",
    title: "Documents",
    routes: ["POST /rag", "GET /rag/documents"],
    load: () => import("./documents/documents.js"),
  },
  { name: "images", title: "Images", routes: ["POST /image"], load: () => import("./images/images.js") },
  {
    name: "audio",
    title: "Audio",
    routes: ["POST /speak", "POST /transcribe"],
    load: () => import("./audio/audio.js"),
  },
  { name: "text", title: "Text", routes: ["POST /translate"], load: () => import("./text/text.js") },
  {
    name: "structured",
    title: "Structured",
    routes: ["POST /extract"],
    load: () => import("./structured/structured.js"),
  },
  { name: "decide", title: "Decide", routes: ["POST /decide"], load: () => import("./decide/decide.js") },
  { name: "requests", title: "Requests", routes: [], load: () => import("./requests/requests.js") },
  {
    name: "access",
    title: "Access",
    routes: ["POST /tokens", "GET /usage", "GET /access"],
    load: () => import("./access/access.js"),
  },
];
