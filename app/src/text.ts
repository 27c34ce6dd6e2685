/** Text for the user: the compiler accepts only what comes from a file in words/, or is no language. */

declare const translated: unique symbol;
export type Text = string & { [translated]: true };

/** The type of a file in words/, with each string and each returned string as Text. */
export type Texts<T> = T extends string ? Text : T extends (...given: infer G) => infer R ? (...given: G) => Texts<R> : { [K in keyof T]: Texts<T[K]> };

/** Accept what is the same in every language: names, numbers, symbols. */
export const verbatim = (text: string | number): Text => String(text) as Text;
