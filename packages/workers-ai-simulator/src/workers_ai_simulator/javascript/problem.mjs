/** What is wrong on the user's side, in a sentence that says what to do. */
export class Problem extends Error {}
