// Examples of texts and schemas.

export const EXAMPLES = {
  Invoice: {
    text: "Invoice 4711 for Ada Lovelace: two brass gears at 12.50 EUR, one spring at 3 EUR. Not paid yet.",
    instructions: "Prices in euros.",
    schema: {
      type: "object",
      properties: {
        number: { type: "integer", minimum: 1 },
        customer: { type: "string", description: "Who has to pay" },
        lines: {
          type: "array",
          items: {
            type: "object",
            properties: { item: { type: "string" }, count: { type: "integer" }, price: { type: "number" } },
            required: ["item", "count", "price"],
            additionalProperties: false,
          },
        },
        state: { enum: ["open", "paid"] },
      },
      required: ["number", "customer", "lines", "state"],
      additionalProperties: false,
    },
  },
  "Support request": {
    text: "Hi, since the update on Monday I cannot log in any more, and my customers are waiting! – Grace, Hopper GmbH",
    schema: {
      type: "object",
      properties: {
        topic: { enum: ["login", "payment", "bug", "question"] },
        urgency: { type: "integer", minimum: 1, maximum: 5 },
        name: { type: "string" },
        company: { type: ["string", "null"] },
        summary: { type: "string", description: "One sentence" },
      },
      required: ["topic", "urgency", "name", "company", "summary"],
      additionalProperties: false,
    },
  },
  "Meeting notes": {
    text: "Present: Ada, Grace. Ada sends the offer by Friday. Grace checks the budget. Next meeting on 4 December.",
    schema: {
      type: "object",
      properties: {
        people: { type: "array", items: { type: "string" } },
        tasks: {
          type: "array",
          items: {
            type: "object",
            properties: { who: { type: "string" }, what: { type: "string" }, due: { type: ["string", "null"] } },
            required: ["who", "what", "due"],
            additionalProperties: false,
          },
        },
      },
      required: ["people", "tasks"],
      additionalProperties: false,
    },
  },
};
