"""The UCR and UEA archives of time series classification: names, and the sizes of the sets that were seen here.

Hoang Anh Dau et al., The UCR time series archive, IEEE/CAA J. Automatica Sinica 6(6), 2019 (128 univariate sets);
Anthony Bagnall et al., The UEA multivariate time series classification archive, arXiv:1811.00075, 2018 (30 sets).
Each lies at the address of the aeon toolkit, ``ADDRESS + NAME.zip``. The archives publish NO checksum, so that a set
fetched from there cannot be verified; the two files of :data:`SUBSETS` hold some of the sets and have one.
"""

from __future__ import annotations

ADDRESS = "https://timeseriesclassification.com/aeon-toolkit/"
LICENCE = "free for research, cite"
CITATIONS = {
    "ucr": "Dau et al., The UCR Time Series Archive, 2018",
    "uea": "Bagnall et al., The UEA multivariate time series classification archive, 2018",
}
SUBSETS = {
    "ucr": ("ucr2018_subset.zip", "f7b8e587d697c2a6784bd595d80e139700b881a2befb405b7409016ffc97ab1c", 12_452_058),
    "uea": ("uea_subset.zip", "d35c249088563b33f70e838300a2518c936927f7289e2cf4ee08480a0b127bab", 2_329_305),
}
SEEN = """
ucr ArrowHead 36 175 1 251
ucr BME 30 150 1 128
ucr CBF 30 900 1 128
ucr Chinatown 20 343 1 24
ucr Coffee 28 28 1 286
ucr Computers 250 250 1 720
ucr CricketX 390 390 1 300
ucr DistalPhalanxTW 400 139 1 80
ucr DodgerLoopDay 78 80 1 288
ucr ECG200 100 100 1 96
ucr ECGFiveDays 23 861 1 136
ucr Earthquakes 322 139 1 512
ucr FaceAll 560 1690 1 131
ucr FiftyWords 450 455 1 270
ucr GesturePebbleZ1 132 172 1 455
ucr GunPoint 50 150 1 150
ucr HouseTwenty 40 119 1 2000
ucr InsectEPGRegularTrain 62 249 1 601
ucr ItalyPowerDemand 67 1029 1 24
ucr Lightning2 60 61 1 637
ucr MedicalImages 381 760 1 99
ucr MelbournePedestrian 1194 2439 1 24
ucr MoteStrain 20 1252 1 84
ucr OSULeaf 200 242 1 427
ucr PhalangesOutlinesCorrect 1800 858 1 80
ucr SmoothSubspace 150 150 1 15
ucr SonyAIBORobotSurface1 20 601 1 70
ucr Strawberry 613 370 1 235
ucr SyntheticControl 300 300 1 60
ucr ToeSegmentation1 40 228 1 277
ucr UMD 36 144 1 150
uea BasicMotions 40 40 6 100
uea JapaneseVowels 270 370 12 29
uea NATOPS 180 180 24 51
"""
"""Archive, name, training and test series, channels and (longest) length of the sets whose files were read here."""

OTHERS = {
    "ucr": """
ACSF1 Adiac AllGestureWiimoteX AllGestureWiimoteY AllGestureWiimoteZ Beef BeetleFly BirdChicken Car
ChlorineConcentration CinCECGTorso CricketY CricketZ Crop DiatomSizeReduction DistalPhalanxOutlineAgeGroup
DistalPhalanxOutlineCorrect DodgerLoopGame DodgerLoopWeekend ECG5000 ElectricDevices EOGHorizontalSignal
EOGVerticalSignal EthanolLevel FaceFour FacesUCR Fish FordA FordB FreezerRegularTrain FreezerSmallTrain Fungi
GestureMidAirD1 GestureMidAirD2 GestureMidAirD3 GesturePebbleZ2 GunPointAgeSpan GunPointMaleVersusFemale
GunPointOldVersusYoung Ham HandOutlines Haptics Herring InlineSkate InsectEPGSmallTrain InsectWingbeatSound
LargeKitchenAppliances Lightning7 Mallat Meat MiddlePhalanxOutlineAgeGroup MiddlePhalanxOutlineCorrect
MiddlePhalanxTW MixedShapesRegularTrain MixedShapesSmallTrain NonInvasiveFetalECGThorax1
NonInvasiveFetalECGThorax2 OliveOil Phoneme PickupGestureWiimoteZ PigAirwayPressure PigArtPressure PigCVP PLAID
Plane PowerCons ProximalPhalanxOutlineAgeGroup ProximalPhalanxOutlineCorrect ProximalPhalanxTW
RefrigerationDevices Rock ScreenType SemgHandGenderCh2 SemgHandMovementCh2 SemgHandSubjectCh2
ShakeGestureWiimoteZ ShapeletSim ShapesAll SmallKitchenAppliances SonyAIBORobotSurface2 StarLightCurves
SwedishLeaf Symbols ToeSegmentation2 Trace TwoLeadECG TwoPatterns UWaveGestureLibraryAll UWaveGestureLibraryX
UWaveGestureLibraryY UWaveGestureLibraryZ Wafer Wine WordSynonyms Worms WormsTwoClass Yoga
""",
    "uea": """
ArticularyWordRecognition AtrialFibrillation CharacterTrajectories Cricket DuckDuckGeese EigenWorms Epilepsy
ERing EthanolConcentration FaceDetection FingerMovements HandMovementDirection Handwriting Heartbeat
InsectWingbeat Libras LSST MotorImagery PEMS-SF PenDigits PhonemeSpectra RacketSports SelfRegulationSCP1
SelfRegulationSCP2 SpokenArabicDigits StandWalkJump UWaveGestureLibrary
""",
}
"""The other names of the archives. None of these files was read here: sizes are what the files say."""


def seen() -> list[tuple[str, str, int, int, int, int]]:
    """The rows of :data:`SEEN`."""
    rows = [line.split() for line in SEEN.strip().splitlines()]
    return [(archive, name, *map(int, sizes)) for archive, name, *sizes in rows]  # type: ignore[misc]
