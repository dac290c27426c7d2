export function useState<T>(initial: T | (() => T)): [T, (next: T | ((last: T) => T)) => void];
export function useEffect(run: () => void | (() => void), needs?: readonly unknown[]): void;
export function useLayoutEffect(run: () => void | (() => void), needs?: readonly unknown[]): void;
export function useRef<T>(initial: T): { current: T };
export function useMemo<T>(make: () => T, needs: readonly unknown[]): T;
