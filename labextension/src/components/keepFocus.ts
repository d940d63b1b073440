const FOCUSABLE = 'button, input, select, textarea, summary, a[href], [tabindex]';
const GROUPS = 'form, article, section, [role=region], [role=list], ul, ol, [role=tabpanel]';

/** Where the focus was: an element, and from it up to the root each ancestor's place among its siblings. */
interface IPlace {
  element: HTMLElement;
  path: readonly { parent: Element; index: number }[];
}

/**
 * Keeps the keyboard's focus in a part of the page whose buttons and rows come and go: what takes the place of a focused
 * element that was removed gets the focus; a group holds it while its button can't be used. Only where the browser dropped
 * it: it is never taken from anything. `onLost` is called where nothing is left to have it. Returns what ends this.
 */
export function keepFocus(root: HTMLElement, onLost: () => void = () => undefined): () => void {
  let place: IPlace | null = null;
  let waiting: HTMLElement | null = null; // holds the focus for an element that can't be used just now
  const forget = (): void => {
    [place, waiting] = [null, null];
  };
  const remember = (event: FocusEvent): void => {
    const element = event.target as HTMLElement;
    if (element !== waiting) {
      [place, waiting] = [placeOf(element, root), null];
    }
  };
  // Chromium also tells of an element that is being removed, before it is: what a person left is still of use after that.
  const left = (event: FocusEvent): void => {
    const element = event.target as HTMLElement;
    queueMicrotask(() => {
      if (element === place?.element && isUsable(element) && isFree()) {
        forget();
      }
    });
  };
  const mend = (): void => {
    if (
      place === null ||
      (!isFree() && document.activeElement !== place.element && document.activeElement !== waiting)
    ) {
      return;
    }
    const { element } = place;
    if (!element.isConnected) {
      const next = heir(place, root);
      forget();
      if (next) {
        next.focus();
      } else {
        onLost();
      }
    } else if (element.matches(':disabled')) {
      waiting ??= groupOf(element);
      waiting?.focus({ preventScroll: true });
    } else if (document.activeElement !== element) {
      element.focus({ preventScroll: true });
    }
  };
  const observer = new MutationObserver(mend);
  root.addEventListener('focusin', remember);
  root.addEventListener('focusout', left);
  observer.observe(root, { childList: true, subtree: true, attributeFilter: ['disabled'] });
  return () => {
    root.removeEventListener('focusin', remember);
    root.removeEventListener('focusout', left);
    observer.disconnect();
  };
}

function placeOf(element: HTMLElement, root: HTMLElement): IPlace {
  const path = [];
  for (let child: Element = element; child !== root && child.parentElement; child = child.parentElement) {
    path.push({ parent: child.parentElement, index: [...child.parentElement.children].indexOf(child) });
  }
  return { element, path };
}

/** Whether nothing has the focus. */
function isFree(): boolean {
  return document.activeElement === null || document.activeElement === document.body;
}

function isUsable(element: HTMLElement): boolean {
  return element.isConnected && !element.matches(':disabled');
}

/** What can have the focus nearest to a place whose element is gone: in what follows, in what precedes, in what is around. */
function heir({ path }: IPlace, root: HTMLElement): HTMLElement | null {
  for (const { parent, index } of path) {
    if (root.contains(parent)) {
      const children = [...parent.children];
      const near = [...children.slice(index), ...children.slice(0, index).reverse()];
      const found = near.map(firstIn).find(element => element !== null);
      if (found) {
        return found;
      }
    }
  }
  return null;
}

function firstIn(element: Element): HTMLElement | null {
  const all = [element, ...element.querySelectorAll(FOCUSABLE)] as HTMLElement[];
  const isOpen = (one: HTMLElement): boolean => one.matches('summary') || one.closest('details:not([open])') === null;
  return all.find(one => one.matches(FOCUSABLE) && one.tabIndex >= 0 && isUsable(one) && isOpen(one)) ?? null;
}

/** What a control stands in; it can have the focus from now on. */
function groupOf(element: HTMLElement): HTMLElement | null {
  const group = element.parentElement?.closest<HTMLElement>(GROUPS) ?? null;
  if (group && !group.hasAttribute('tabindex')) {
    group.tabIndex = -1;
  }
  return group;
}
