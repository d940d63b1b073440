import { nullTranslator, TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

/** Our domain in Jupyter's translation catalogues. */
export const DOMAIN = 'jupyter_guardrails';

const Context = React.createContext<TranslationBundle>(nullTranslator.load(DOMAIN));

/** Gives its children the reader's language. */
export const TransProvider = Context.Provider;

/** The reader's language. */
export function useTrans(): TranslationBundle {
  return React.useContext(Context);
}
