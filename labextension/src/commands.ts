/** Commands that people, shortcuts and other extensions may run. */
export const CommandIDs = {
  /** Show the panel; `section`: "limits", "datasets" or "submit". */
  open: 'guardrails:open',
  /** Save the notebook in front, check it as a draft, and show that in the panel. */
  submit: 'guardrails:submit',
  /** Read limits, datasets and submissions again. */
  refresh: 'guardrails:refresh'
} as const;
