/** The version of this page's part, as Python writes it; the same as in package.json. */
export const VERSION = '0.1.0';
