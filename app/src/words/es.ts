/** Spanish, as it is understood in all of Latin America. */

import letter from "../../../eyenet/letter/es.json";
import { fill } from "../fill";
import type { Words } from "./en";

type Eye = "right" | "left";
type Question = "any" | "referable";

const NOT_COVERED =
  "EyeNet busca solo retinopatía diabética: no evalúa el edema macular, que las clínicas también suelen derivar, ni ninguna otra enfermedad ocular.";
const NO_ALL_CLEAR = "Esto no descarta la enfermedad. EyeNet no detecta todas las retinopatías y no busca otras enfermedades, tampoco el edema macular.";
const LOOK = "Un especialista debe ver las fotos.";
const AGAIN_FROM_CAMERA = "Cópiela de nuevo desde la cámara.";
const READABLE = "Elija una foto JPEG o PNG.";
const EXPORT_AGAIN = "Pida a quien instaló esta página que la exporte de nuevo con export_model.py.";
const EYES: Record<Eye, string> = letter.eyes;
const QUESTIONS: Record<Question, string> = letter.questions;
const SIDE: Record<Eye, string> = { right: "ojo derecho", left: "ojo izquierdo" };
const AFTER: Record<number, string> = { 1: "1 día", 365: "1 año" };
const after = (days: number): string => AFTER[days] ?? `${days} días`;
const results = (number: number): string => (number === 1 ? "1 resultado" : `${number} resultados`);
const shown = (number: number, isAll: boolean): string => {
  if (number === 1) return isAll ? "el resultado" : "el resultado que se muestra";
  return isAll ? `los ${results(number)}` : `los ${results(number)} que se muestran`;
};
const other = (eye: Eye): Eye => (eye === "right" ? "left" : "right");
const share = (value: number): string => String(Math.round(100 * value));

const es: Words = {
  language: "Español",
  locale: "es",
  description: "Busca signos de retinopatía diabética en fotos de la retina, en este dispositivo. No es un dispositivo médico.",
  noScript: "EyeNet necesita JavaScript, que está desactivado en este navegador.",

  header: {
    skip: "Ir al contenido",
    pages: "Páginas",
    views: { new: "Paciente", history: "Historial", settings: "Ajustes", about: "Acerca de" },
    notice: "No es un dispositivo médico. Programa de investigación: decide una persona capacitada.",
  },
  notCovered: NOT_COVERED,
  letter,
  syntheticModel: letter.demonstrations.network,
  unreviewed: letter.unreviewed,

  status: {
    loading: "Cargando. La primera visita descarga hasta 15 MB.",
    ready: "Listo. No se necesita internet.",
    online: "Listo, pero solo mientras haya conexión a internet.",
    tooOld: "Este navegador es demasiado antiguo. EyeNet necesita Safari 16.4, Chrome 105, Firefox 121 o una versión posterior.",
    stopped: "El programa no pudo iniciarse. Vuelva a cargar la página.",
    notKept: "Este resultado no se guardó en el historial: el almacenamiento del dispositivo está lleno o esta página no puede usarlo.",
    notDeleted: "No se pudo eliminar: esta página no puede usar el almacenamiento del navegador.",
    removed: (eye: Eye) => `${EYES[eye]}: foto quitada.`,
    confirmed: "Archivos confirmados.",
    known: (name: string) => `${name} ya se agregó a este ojo.`,
    check: "Verifique los archivos: todavía no hay resultado para el paciente.",
    looking: "Analizando la foto…",
    lookingAll: "Analizando las fotos…",
    sentences: (...parts: string[]) => parts.map((part) => (/[.!?]$/.test(part) ? part : `${part}.`)).join(" "),
  },

  eyes: EYES,
  both: "Ambos ojos",
  only: (eye: Eye) => `Solo ${SIDE[eye]}`,
  questions: QUESTIONS,

  patient: {
    title: "Paciente",
    label: "Nombre o número",
    optional: "Opcional",
    born: "Fecha de nacimiento (opcional)",
    bornOn: (date: string) => `Fecha de nacimiento: ${date}`,
    noName: "Sin nombre",
    next: "Siguiente paciente",
    print: "Imprimir carta",
    several: "Elegir varias fotos a la vez",
    addSeveral: "Agregar varias fotos a la vez",
    step: (number: number) => `Paso ${number} de 2`,
    attempt: (made: number, most: number) => `El intento ${made} de ${most} salió de mala calidad. El siguiente es el último: si también es de mala calidad, derive al paciente, no lo envíe a casa.`,
    attemptUnsure: (made: number, most: number) => `El intento ${made} de ${most} salió de mala calidad. El siguiente es el último: si también es de mala calidad, la respuesta es “${letter.answers.ungradable}”.`,
    photograph: (eye: Eye) => `Fotografíe el ${SIDE[eye]}`,
    stay: "Las fotos no salen de este dispositivo.",
    nextIs: (eye: Eye) => `Ahora fotografíe el ${SIDE[eye]}`,
    againIs: (eye: Eye) => `Fotografíe de nuevo el ${SIDE[eye]}`,
  },

  choose: {
    photograph: "Elegir foto",
    take: "Tomar foto",
    another: "Agregar foto",
    remove: "Quitar",
    ofEye: (eye: Eye) => ` del ${SIDE[eye]}`,
    called: (name: string) => ` ${name}`,
    which: "¿Qué ojo es?",
    whichLong: "Los nombres de los archivos no indican qué ojo muestran. Elija el ojo de cada foto.",
    leaveOut: "No usar",
    use: "Usar estas",
    cancel: "Cancelar",
  },

  samples: {
    title: "Probar con ojos de ejemplo",
    notice: "Son dibujos, no los ojos de un paciente: la respuesta no dice nada sobre nadie y no se guarda.",
    names: { negative: "Sin derivación", referable: "Para derivar", poor: "Foto de mala calidad" },
    label: (name: string) => `Dibujo: ${name.toLowerCase()}`,
    missing: "No se pudieron cargar los ojos de ejemplo. Abra esta página de nuevo con conexión a internet.",
  },

  guide: {
    short: "Cómo tomar la foto",
    tips: [
      "Oscurezca la sala y espere a que la pupila se dilate.",
      "Centre la cámara en la pupila y verifique la distancia de trabajo.",
      "Enfoque los vasos y mantenga todo el campo redondo dentro del encuadre.",
    ],
    drawings: "Son dibujos, no fotos.",
    pictures: {
      good: ["Buena", "Dibujo de una buena foto: toda la retina redonda, nítida y con luz uniforme"],
      dark: ["Oscura", "Dibujo de una foto demasiado oscura"],
      bright: ["Clara", "Dibujo de una foto demasiado clara"],
      blurred: ["Borrosa", "Dibujo de una foto desenfocada"],
      cut: ["Cortada", "Dibujo de una foto en la que falta una parte de la retina"],
    },
  },

  checklist: {
    title: (eye: Eye, number: number) => `${EYES[eye]}, foto ${number}`,
    retina: { yes: "Retina encontrada", no: "No se encontró la retina", unknown: "Retina: sin verificar" },
    whole: { yes: "Campo completo", no: "Campo cortado", unknown: "Campo completo: sin verificar" },
    frame: "Se usó la imagen entera: el borde de la retina no aparece",
    sharp: { yes: "Nítida", no: "Borrosa", unknown: "Nitidez: sin verificar" },
    light: { yes: "Buena luz", no: "Mala luz", unknown: "Luz: sin verificar" },
    todo: "Qué hacer, lo más importante primero:",
  },
  reasons: {
    "too dark": [letter.reasons["too dark"], "Aumente el flash o espere a que la pupila se dilate más."],
    overexposed: [letter.reasons.overexposed, "Reduzca el flash."],
    "under- or overexposed": [letter.reasons["under- or overexposed"], "Ajuste el flash."],
    "detail lost": [letter.reasons["detail lost"], "Use el archivo original de la cámara, no una copia comprimida, y revise el flash."],
    "retina cut off": [letter.reasons["retina cut off"], "Mantenga todo el campo redondo dentro del encuadre."],
    "low contrast": [letter.reasons["low contrast"], "Limpie la lente y pida al paciente que parpadee."],
    "out of focus": [letter.reasons["out of focus"], "Enfoque los vasos y verifique la distancia de trabajo."],
    "not a colour photograph": [letter.reasons["not a colour photograph"], "Tome una foto en color. EyeNet no puede evaluar otras fotos."],
    "not a fundus photograph": [letter.reasons["not a fundus photograph"], "¿Es la foto correcta? Centre la cámara en la pupila."],
  },
  otherReason: (reason: string): [string, string] => [reason.charAt(0).toUpperCase() + reason.slice(1), ""],
  reason: (reason: string) => `${reason}. `,

  answers: {
    refer: [letter.answers.refer, LOOK],
    retake: [letter.answers.retake, "La foto es de mala calidad, pero muestra signos de enfermedad."],
    unsettled: [letter.answers.unsettled, "Sin una buena foto de ambos ojos no se puede descartar una retinopatía que requiera derivación."],
    mild: [letter.answers.mild, NO_ALL_CLEAR],
    unsure: [letter.answers.unsure, "Con la tasa de error elegida en los ajustes, EyeNet no puede indicar la enfermedad ni descartarla. No es un resultado negativo."],
    ungradable: [letter.answers.ungradable, "Segunda foto de mala calidad: derive al paciente, no lo envíe a casa."],
    again: [letter.answers.again, "Para un resultado negativo se necesitan ambos ojos."],
    clear: [letter.answers.clear, NO_ALL_CLEAR],
  },
  demonstration: (text: string) => fill(letter.demonstration, { text }),
  eyeAnswers: { ...letter.findings, absent: "Todavía sin foto", never: letter.findings.absent },
  poorToo: (finding: string) => fill(letter.onPoor, { finding }),
  eyeLine: (eye: Eye, text: string) => `${EYES[eye]}: ${text}`,

  details: {
    title: "Detalles",
    reaches: (threshold: string, question: Question) => `, por encima del ${question === "referable" ? "umbral de derivación" : "umbral"}, ${threshold}`,
    below: (threshold: string) => `, por debajo del umbral de ${threshold}`,
    between: (low: string, high: string, threshold: string) => `, entre ${low} y ${high}, donde EyeNet no tiene certeza; umbral ${threshold}`,
    alone: (result: string) => `Según el umbral solo, la respuesta sería: ${result}.`,
    grade: "Grado estimado",
    gradeIs: (grade: number, name: string) => `${grade} de 4, ${name}`,
    network: (name: string) => `Respondió la red ${name}.`,
    point: (point: string) => `${point}.`,
    percent: (value: number, decimals: number) => fill(letter.percent, { value: (100 * value).toFixed(decimals).replace(".", ",") }),
    under: letter.under,
    over: letter.over,
  },

  photograph: {
    good: "Calidad suficiente para evaluarla",
    poor: "Calidad insuficiente para evaluarla",
    number: (number: number, total: number) => `Foto ${number} de ${total}`,
    counts: "La peor de las fotos con calidad suficiente decide para el ojo. Una de mala calidad solo cuenta si muestra signos de enfermedad.",
    retake: "La foto es de mala calidad, pero muestra signos de enfermedad. Derive al paciente y, si es posible, repita la foto.",
    unsure: (again: boolean) => `La foto es de mala calidad y la respuesta es dudosa: debe verla un evaluador.${again ? " Si es posible, repita la foto." : ""}`,
    alt: (eye: Eye) => `Foto del ${SIDE[eye]}`,
    photograph: letter.photograph,
    evidence: letter.evidence,
    evidenceAlt: (eye: Eye, question: Question) => `${EYES[eye]} con contornos en las zonas que aumentaron la puntuación de ${QUESTIONS[question].toLowerCase()}`,
    evidenceCaption: "Los contornos marcan zonas que aumentaron la puntuación. No delimitan lesiones.",
    level: "Cuánto marcar",
    levelOf: (eye: Eye) => ` en el ${SIDE[eye]}`,
    levelIs: (share: number) => `Zonas con al menos el ${Math.round(100 * share)}\u00a0% de la evidencia más fuerte`,
    nothingAlt: (eye: Eye) => `Foto del ${SIDE[eye]}. Nada llamó la atención.`,
    nothing: "Nada llamó la atención. Esto no descarta la enfermedad.",
    picture: (eye: Eye) => `Imagen del ${SIDE[eye]}`,
  },

  doubts: {
    title: "Verifique los archivos",
    none: "No habrá resultado para el paciente hasta que esto se resuelva.",
    wrong: "Si un archivo no es correcto, quítelo abajo y elija otro.",
    correct: "Los archivos son correctos",
    history: letter.doubtful.title,
    same: "Se eligió la misma foto para ambos ojos. Quítela del ojo equivocado.",
    otherEye: (name: string, eye: Eye) => `${name} se eligió como ${SIDE[eye]}, pero su nombre dice ${SIDE[other(eye)]}.`,
    sameEye: (one: string, two: string) => `${one} y ${two} parecen mostrar el mismo ojo: la papila óptica está del mismo lado.`,
    patients: (one: string, two: string) => `Los nombres de los archivos indican dos pacientes: ${one} y ${two}.`,
  },

  history: {
    title: "Historial",
    unavailable: "Este navegador no guarda un historial para esta página. ¿Es una ventana privada?",
    empty: "Todavía no hay resultados. Los resultados se guardan solo en este dispositivo.",
    stored: "Se guarda solo en este dispositivo, hasta que usted lo elimine.",
    open: "Abrir",
    back: "Volver a la lista",
    remove: "Eliminar",
    removeAll: "Eliminar todo",
    keep: "Conservar",
    ofVisit: (name: string, when: string) => ` ${name}, ${when}`,
    oneEye: (title: string) => `${title} (un ojo)`,
    lead: (when: string, point: string) => `${when}. ${point}.`,
    noResult: "Sin resultado.",
    removeOne: (name: string, when: string) => `¿Eliminar el resultado de ${name}, ${when}? No se puede deshacer.`,
    removeEvery: (number: number) => `¿Eliminar ${number === 1 ? "el único resultado" : `los ${number} resultados`} de este dispositivo? No se puede deshacer.`,
  },

  days: {
    eye: (eye: Eye, days: string[]) => `${EYES[eye]}: ${days.join(" y ")}.`,
    differ: (eyes: string[]) => `Las fotos se tomaron en días distintos. ${eyes.join(" ")}`,
  },

  search: {
    title: "Buscar",
    name: "Nombre o número",
    day: "Día",
    answer: "Respuesta",
    all: "Todas las respuestas",
    open: "Sin terminar: falta fotografiar un ojo",
    count: (found: number, all: number) => (found === all ? results(all) : `${found} de ${results(all)}`),
    more: "Mostrar más",
  },

  resumed: {
    go: "Continuar con este paciente",
    back: "Volver a este paciente",
    ofPatient: (name: string) => ` ${name}`,
    now: (name: string, when: string) => `Continúa con ${name}, iniciado el ${when}.`,
    notThis: "No es este paciente",
    other: "Otro paciente",
    stillHere: (name: string, when: string, eyes: Eye[]) =>
      `¿Sigue siendo el mismo paciente? ${name}, ${eyes.length ? eyes.map((eye) => SIDE[eye]).join(" y ") : "todavía sin foto"}, último cambio: ${when}.`,
    question: (name: string, when: string, eye: Eye) =>
      `¿Continuar con ${name}? La última foto se tomó el ${when}. Las fotos nuevas del ${SIDE[eye]} se agregan al resultado de este paciente, con su propia fecha.`,
    questionNoName: (when: string, eye: Eye) =>
      `Este paciente no tiene nombre. ¿Está seguro de que es el paciente cuya última foto se tomó el ${when}? Las fotos nuevas del ${SIDE[eye]} se agregan a ese resultado, con su propia fecha.`,
    busy: "Espere a que terminen de analizarse las fotos del paciente actual.",
    taken: "Este paciente está en curso en otra ventana.",
    anyTaken: "Hay un paciente en curso en otra ventana.",
    gone: "No se puede continuar con este resultado: se modificó o se eliminó en otra ventana.",
    otherNetwork: "Otra red evaluó estas fotos. Para terminar, fotografíe de nuevo ambos ojos como paciente nuevo.",
    lostNetwork: "La red cambió, por lo que no se pudo continuar con el paciente en curso. El resultado está en el historial: fotografíe de nuevo ambos ojos.",
    lost: (eyes: Eye[]) => `La página se cerró antes de terminar de analizar una foto del ${eyes.map((eye) => SIDE[eye]).join(" y del ")}. Repítala.`,
  },

  exchange: {
    title: "Exportar e importar",
    meaning: "La tabla sirve para hojas de cálculo. El archivo contiene todo, con las imágenes: impórtelo en otro dispositivo o guárdelo como copia de seguridad. Ambos contienen datos de pacientes.",
    csv: (number: number, isAll: boolean) => `Guardar ${shown(number, isAll)} como tabla (CSV)`,
    file: (number: number, isAll: boolean) => `Guardar ${shown(number, isAll)} en un archivo`,
    import: "Importar un archivo",
    working: "Procesando…",
    saved: (number: number) => `Comenzó la descarga: ${results(number)}.`,
    done: (added: number, extended: number, known: number) =>
      added + extended + known === 0 ? "El archivo no tiene resultados." : added + extended === 0 ? `Nada nuevo en el archivo. Ya estaba aquí: ${results(known)}.` : [added ? `Importado: ${results(added)}.` : "", extended ? `Se agregaron fotos nuevas: ${results(extended)}.` : "", known ? `Ya estaba aquí: ${results(known)}.` : ""].filter(Boolean).join(" "),
    failed: "No funcionó, y no se cambió nada: el almacenamiento del dispositivo está lleno o esta página no puede usarlo.",
    notSaved: "No se pudo crear el archivo: este dispositivo no tiene suficiente memoria. Use la búsqueda para mostrar menos resultados y guárdelos.",
    foreign: "Este archivo no es de un historial de EyeNet. No se importó nada.",
    newer: "Este archivo es de una versión más nueva de EyeNet. Abra esta página de nuevo con conexión a internet y luego impórtelo. No se importó nada.",
    damaged: "El archivo está dañado o incompleto. No se importó nada: expórtelo de nuevo.",
    inProgress: "El archivo agrega datos al paciente en curso. Presione “Siguiente paciente” y luego impórtelo de nuevo. No se importó nada.",
  },

  csv: {
    patient: "Paciente",
    born: "Fecha de nacimiento",
    begun: "Inicio",
    answer: "Respuesta",
    eye: (eye: Eye) => EYES[eye],
    photographs: (eye: Eye) => `${EYES[eye]}: fotos`,
    last: (eye: Eye) => `${EYES[eye]}: última foto`,
    probability: (question: Question) => `${QUESTIONS[question]}: probabilidad`,
    threshold: (question: Question) => `${QUESTIONS[question]}: umbral`,
    grade: "Grado estimado (0 a 4)",
    point: "Grado de cautela",
    unsure: "Respuesta dudosa",
    alone: "Solo según el umbral",
    network: "Red",
    notice: "Aviso",
  },

  retention: {
    title: "Eliminar resultados automáticamente",
    meaning: "El plazo se cuenta desde la última foto de un resultado o desde su importación. No se puede deshacer.",
    option: (days: number) => (days ? `Después de ${after(days)}` : "Nunca"),
    start: "Eliminar automáticamente",
    question: (days: number, number: number, today: string) =>
      `Desde ahora, los resultados se eliminan ${after(days)} después de su última foto. ${number ? `Según la fecha de este dispositivo, ${today}, ${results(number)} ${number === 1 ? "ya superó" : "ya superaron"} ese plazo y se ${number === 1 ? "eliminará" : "eliminarán"} ahora. No se puede deshacer.` : "Por ahora ningún resultado supera ese plazo."}`,
    due: (number: number, all: number, days: number, today: string) =>
      `${number} de ${results(all)} ${number === 1 ? "tiene" : "tienen"} más de ${after(days)} según la fecha de este dispositivo, ${today}. Si la fecha es incorrecta, consérvelos. ¿Eliminar ahora? No se puede deshacer.`,
    later: "Conservar por ahora",
    notKept: "Este navegador no guarda ajustes para esta página: no se elimina nada automáticamente.",
    chosen: (days: number) => (days ? `Los resultados se eliminan después de ${after(days)}.` : "Los resultados no se eliminan automáticamente."),
    stored: (days: number) => `Se guarda solo en este dispositivo y se elimina ${after(days)} después de la última foto.`,
  },

  settings: {
    title: "Ajustes",
    language: {
      title: "Idioma",
      meaning: "Mientras no elija uno, la página usa el idioma del navegador. Su elección se guarda en este dispositivo.",
      busy: "Espere a que terminen de analizarse las fotos y luego elija el idioma.",
      notKept: "El idioma no cambió: esta página no puede usar el almacenamiento del navegador.",
    },
    loading: "Los ajustes aparecen cuando termina de cargarse la red.",
    cautious: "¿Qué tan cauteloso debe ser EyeNet?",
    meaning: "Un ajuste más cauteloso pasa por alto menos enfermedad y da más falsas alarmas. Su elección se guarda en este dispositivo.",
    aims: {
      sensitivity: (aim: number) => `${aim >= 0.95 ? "Muy cauteloso" : "Cauteloso"}: busca encontrar ${share(aim)} de cada 100 ojos con enfermedad`,
      specificity: (aim: number) => `Pocas falsas alarmas: busca no pasar de ${share(1 - aim)} por cada 100 ojos sanos`,
      balanced: "Equilibrado: entre enfermedad no detectada y falsas alarmas",
    },
    own: (aim: string) => `${aim} (valor predeterminado de la red)`,
    measuredOn: (set: string) => `Medido en ojos de ${set}, con intervalos del 95\u00a0% entre paréntesis.`,
    sets: {
      "unseen test patients": "pacientes de prueba no usados en el entrenamiento",
      "unseen patients of the same collection": "pacientes de la misma colección no usados en el entrenamiento",
      "validation patients": "pacientes de validación",
    },
    measuredNowhere: "Sin cifras: esta red se exportó sin resultados de pacientes de prueba.",
    found: (value: number, low: number, high: number) => `encontró ${share(value)} de cada 100 con enfermedad (${share(low)} a ${share(high)})`,
    alarms: (value: number, low: number, high: number) => `${share(1 - value)} falsas alarmas por cada 100 sin enfermedad (${share(1 - high)} a ${share(1 - low)})`,
    measured: (question: Question, figures: string[]) => `${QUESTIONS[question]}: ${figures.join("; ") || "sin medir"}`,
    unsure: {
      title: "¿Puede la respuesta ser “dudosa”?",
      meaning: "Cuando EyeNet no tiene certeza, responde “dudoso: debe verlo un evaluador”. Cuantos menos errores permita, con más frecuencia responde así. Su elección se guarda en este dispositivo.",
      holds: "Estas tasas valen en promedio, para cada pregunta por separado y para pacientes como aquellos con los que se fijaron sus límites. Con otra cámara u otros pacientes puede haber más errores.",
      never: "No: responder solo según el umbral",
      rate: (rate: number) => `“Dudoso” donde haga falta para que se pasen por alto como máximo ${share(rate)} de cada 100 con enfermedad y se indiquen como máximo ${share(rate)} de cada 100 sin ella`,
      none: "Esta red no puede responder “dudoso”: se exportó sin límites para ello.",
    },
    clinic: {
      title: "La clínica, para la carta",
      name: "Nombre de la clínica",
      address: "Dirección",
      phone: "Teléfono",
      rule: "Cuándo repetir el tamizaje",
      meaning: "Con las palabras de su clínica, por ejemplo un número de meses. EyeNet no tiene una norma propia: donde no escriba nada, la carta dice que la clínica decide.",
      clear: `Después de “${letter.answers.clear}”`,
      mild: "Después de “Retinopatía sin criterio de derivación”",
      kept: "Se guarda solo en este dispositivo.",
      notKept: "Esta página no puede usar el almacenamiento del navegador: lo que escriba aquí se pierde al cerrarla.",
    },
  },

  about: {
    title: "Acerca de EyeNet",
    sections: [
      [
        "Qué hace",
        "EyeNet estima la probabilidad de que unas fotos de la retina muestren retinopatía diabética. Primero verifica si la calidad de la foto permite evaluarla. Las fotos no salen de este dispositivo: no hay servidor ni cuenta, y la página no envía datos a ninguna parte.",
      ],
      [
        "Qué no es",
        `EyeNet no es un dispositivo médico. No ha sido aprobado para ningún uso médico. No detecta toda la enfermedad y da falsas alarmas. ${NOT_COVERED} Una persona capacitada decide sobre cada paciente.`,
      ],
      [
        "Qué significan las palabras",
        "Una retinopatía que requiere derivación es moderada o peor: un especialista debe ver al paciente. El edema macular también requiere derivación, pero EyeNet no lo detecta. El umbral es la probabilidad a partir de la cual EyeNet informa enfermedad; en los ajustes se elige con cuánta cautela. En “Evidencia”, los contornos marcan zonas que aumentaron la puntuación; no delimitan lesiones. Donde nada llamó la atención, la puntuación está por debajo del umbral.",
      ],
      [
        "Cómo tomar una buena foto",
        [
          "Oscurezca la sala y espere a que las pupilas se dilaten.",
          "Centre la cámara en la pupila para que la luz sea uniforme.",
          "Enfoque los vasos: sus bordes deben verse nítidos.",
          "Mantenga todo el campo redondo dentro del encuadre, con el borde oscuro que lo rodea.",
        ],
      ],
      [
        "Instalarlo en este dispositivo",
        "Después de la primera visita, EyeNet funciona sin internet. Para instalarlo: en un iPhone o iPad, toque Compartir y luego “Agregar a inicio”; en Android o en una computadora, elija “Instalar” en el menú del navegador.",
      ],
    ],
    which: "Qué red se usa",
    classes: {
      any: ["sin retinopatía", "con retinopatía"],
      referable: ["no requiere derivación", "requiere derivación"],
      grade: letter.grades,
    },
    facts: { name: "Nombre", trainedOn: "Entrenada con", detects: "Detecta", classes: "Clases" },
    sources: { "Kaggle's 2015 competition (EyePACS)": "la competencia de Kaggle de 2015 (EyePACS)" },
    trainedOnDrawings: (what: string) => `${what}: sus respuestas no dicen nada sobre pacientes`,
    synthetic: "fotos sintéticas",
    real: "fotos de pacientes",
    seen: (count: string, isDrawn: boolean, source: string) => [count, isDrawn ? "dibujos sintéticos" : "fotos", source && `de ${source}`].filter(Boolean).join(" "),
    recalibrated: (seen: string, count: string, isDrawn: boolean, place: string) => `${seen}; recalibrada con ${count} fotos${isDrawn ? " sintéticas" : ""} de ${place}`,
    network: (name: string, seen: string) => fill(letter.network, { name, seen }),
    list: (names: string[]) => names.join(", "),
  },

  problems: {
    memory: "Este dispositivo no tiene memoria suficiente para la foto. Cierre otras páginas.",
    transparent: "La foto es completamente transparente. Guárdela sin transparencia.",
    several: (number: number) => `El archivo contiene ${number} fotos como páginas. Guarde cada página en un archivo propio y elija uno.`,
    secondDamaged: "El archivo contiene una segunda imagen que está dañada. Guarde la foto de nuevo y elija el archivo nuevo.",
    cannotRead: "No se puede leer el archivo. Elíjalo de nuevo.",
    orientation: "La orientación de la foto es ambigua. Guárdela de nuevo y elija el archivo nuevo.",
    empty: "El archivo está vacío. Cópielo de nuevo desde la cámara.",
    large: (width: number, height: number, most: number) =>
      `La foto tiene ${width} x ${height} píxeles, más de los ${most / 1e6} millones que se aceptan. Guárdela más pequeña y elíjala de nuevo.`,
    heic: "Es una foto HEIC, que este navegador no puede leer. Guárdela como JPEG y elíjala de nuevo (en un iPhone: Configuración, Cámara, Formatos, Más compatible).",
    dicom: `Es un archivo DICOM, que un navegador no puede leer. ${READABLE}`,
    tiff: `Es una foto TIFF, que este navegador no puede leer. ${READABLE}`,
    damagedOrLarge: `La foto está dañada o es demasiado grande para este dispositivo. ${AGAIN_FROM_CAMERA}`,
    damaged: `La foto está dañada. ${AGAIN_FROM_CAMERA}`,
    unreadable: `Este archivo no es una foto que un navegador pueda leer. ${READABLE}`,
    truncated: `La foto está incompleta: falta el final del archivo. ${AGAIN_FROM_CAMERA}`,
    profile: "El perfil de color de la foto es de un tipo que esta página no puede convertir. Guárdela como sRGB y elíjala de nuevo.",
    profileDamaged: "El perfil de color está dañado y no se aplicó.",
    profileFor: (space: string) => `El perfil de color es para ${space} y no se aplicó.`,
    profileOther: (space: string, pixels: string) => `El perfil de color es para ${space}, pero los píxeles son ${pixels}, y no se aplicó.`,
    equalised: "Los colores de este recorte ya se ecualizaron. Elija la foto original.",
    device: "Este dispositivo no pudo evaluar la foto. Cierre otras páginas e inténtelo de nuevo.",
    incomplete: "El programa está incompleto. Abra esta página de nuevo con conexión a internet.",
    version: `La red no corresponde a esta versión del programa. ${EXPORT_AGAIN}`,
    network: `La red está dañada o no pertenece a este programa. ${EXPORT_AGAIN}`,
    values: `La red devolvió valores que no son probabilidades. ${EXPORT_AGAIN}`,
  },
};

export default es;
