/** An error on the user's side. Its message is a sentence that says what to do. */
export class Problem extends Error {}
